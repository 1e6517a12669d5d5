//! `range`: the body of the branch for each item of a list, a map or a count.

use super::{Executed, Executor, Flow};
use crate::format::{Sink, show};
use crate::tree::Branch;
use crate::value::Value;
use std::borrow::Borrow;

impl<'a> Executor<'a, '_> {
    pub(super) fn range(&mut self, branch: &'a Branch, dot: &Value<'a>) -> Executed<Flow> {
        self.enter()?;
        let outside = self.variables.len();
        let value = self.pipeline(&branch.pipeline, dot)?;
        let items = self.whole(value)?.plain();
        let is_empty = match &items {
            Value::List(list) => {
                self.each(branch, list.iter().enumerate().map(|(at, item)| (int(at), item)))?
            }
            Value::Map(map) => {
                let key = |key: &String| Value::from(key.clone());
                self.each(branch, map.entries.iter().map(|(name, item)| (key(name), item)))?
            }
            Value::Int(count) => {
                let numbers = (0..*count).map(|number| (Value::Int(number), Value::Int(number)));
                self.each(branch, numbers)?
            }
            Value::Nil => true,
            other => {
                let mut shown = Vec::new();
                let bound = self.budget.made_bound();
                // What does not fit is left out of the message.
                let _ = show(other, &mut Sink::new(&mut shown, 100, bound));
                let shown = String::from_utf8_lossy(&shown).into_owned();
                return Err(format!("range can't iterate over {shown}").into());
            }
        };
        let flow = if is_empty { self.walk(&branch.otherwise, dot)? } else { Flow::Next };
        self.variables.truncate(outside);
        self.depth -= 1;
        Ok(flow)
    }

    /// The body for each item; whether there was none.
    fn each<V: Borrow<Value<'a>>>(
        &mut self,
        branch: &'a Branch,
        items: impl Iterator<Item = (Value<'a>, V)>,
    ) -> Executed<bool> {
        let mark = self.variables.len();
        let mut is_empty = true;
        for (key, item) in items {
            is_empty = false;
            self.budget.step()?;
            let item = self.copied(item.borrow())?;
            self.set_range_variables(branch, mark, key, &item)?;
            let flow = self.walk(&branch.body, &item)?;
            self.variables.truncate(mark);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(is_empty)
    }

    /// Of two variables the first is the key; one alone is the item.
    fn set_range_variables(
        &mut self,
        branch: &'a Branch,
        mark: usize,
        key: Value<'a>,
        item: &Value<'a>,
    ) -> Executed<()> {
        let names = &branch.pipeline.variables;
        let (key_name, item_name) = match &names[..] {
            [item] => (None, item),
            [key, item] => (Some(key), item),
            _ => return Ok(()),
        };
        let item = self.copied(item)?;
        if branch.pipeline.is_assignment {
            self.assign(item_name, item);
            if let Some(name) = key_name {
                self.assign(name, key);
            }
            return Ok(());
        }
        if let Some((_, value)) = self.variables.get_mut(mark.saturating_sub(1)) {
            *value = item;
        }
        if let (Some(_), Some(at)) = (key_name, mark.checked_sub(2))
            && let Some((_, value)) = self.variables.get_mut(at)
        {
            *value = key;
        }
        Ok(())
    }
}

fn int<'a>(at: usize) -> Value<'a> {
    Value::Int(i64::try_from(at).unwrap_or(i64::MAX))
}
