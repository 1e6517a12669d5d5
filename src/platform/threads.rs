//! Named threads that their owner joins, threads that help any caller, and work that is spread over
//! threads which end with it.
#![expect(clippy::disallowed_methods, reason = "this is where threads are started")]

mod helpers;

pub use helpers::Helpers;

use std::io;
use std::thread::{Builder, JoinHandle, current};

/// A thread that is joined when its owner drops it. The owner must tell the thread to stop first.
#[derive(Debug)]
pub struct Worker {
    handle: Option<JoinHandle<()>>,
}

impl Worker {
    /// The name shows in `top` and in panics; the kernel keeps its first 15 bytes.
    pub fn start(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let handle = Builder::new().name(name.to_owned()).spawn(run)?;
        Ok(Self { handle: Some(handle) })
    }

    /// A thread for work that may take long and must not hold up what is short: where there are fewer
    /// processors than threads at work, it gets about a third of what another thread gets.
    pub fn start_behind(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        Self::start(name, move || {
            step_behind();
            run();
        })
    }

    /// Waits for the thread's end. `Err` when it panicked.
    pub fn join(mut self) -> std::thread::Result<()> {
        self.handle.take().map_or(Ok(()), JoinHandle::join)
    }

    /// Lets the thread end by itself, without its owner.
    pub fn detach(mut self) {
        self.handle = None;
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let is_itself = |handle: &JoinHandle<()>| handle.thread().id() == current().id();
        // A thread that drops its own owner ends by itself afterwards: it can't wait for that.
        if let Some(handle) = self.handle.take().filter(|handle| !is_itself(handle)) {
            // The panic hook has reported the panic already, and a drop has no caller to pass it to.
            let _ = handle.join();
        }
    }
}

/// A thread's nice value is its own on Linux. Each step is worth about a fifth of the processor.
const BEHIND: i32 = 5;

/// Lowers the priority of the calling thread. Where the system refuses it, work is done all the same.
fn step_behind() {
    let nice = rustix::process::getpriority_process(None).unwrap_or(0);
    let _ = rustix::process::setpriority_process(None, nice + BEHIND);
}

/// Runs `work` on every item and answers in the order of the items: one thread per item, all but
/// the last item's on threads of their own, all ended when this returns. For items that must run at
/// the same time, such as those of tests; work that is merely split goes to [`Helpers`]. A panic in
/// one is passed on.
pub fn scatter<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let work = &work;
    std::thread::scope(|scope| {
        let mut items = items;
        let last = items.pop();
        let spawned: Vec<_> =
            items.into_iter().map(|item| scope.spawn(move || work(item))).collect();
        let last = last.map(work);
        let joined = spawned.into_iter().map(|handle| match handle.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.collect::<Vec<_>>().into_iter().chain(last).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_may_drop_its_owner() {
        let (give, given) = std::sync::mpsc::channel::<Worker>();
        let (tell, told) = std::sync::mpsc::channel();
        let run = move || {
            drop(given.recv());
            tell.send(()).unwrap();
        };
        give.send(Worker::start("own", run).unwrap()).unwrap();
        assert_eq!(told.recv(), Ok(()));
    }

    #[test]
    fn a_thread_steps_behind_alone() {
        let nice = || rustix::process::getpriority_process(None).unwrap();
        let before = nice();
        let (tell, told) = std::sync::mpsc::channel();
        let behind = Worker::start_behind("behind", move || tell.send(nice()).unwrap()).unwrap();
        assert_eq!(told.recv(), Ok(before + BEHIND));
        behind.join().unwrap();
        assert_eq!(nice(), before);
    }

    #[test]
    fn scattered_work_answers_in_order() {
        let text = String::from("abc");
        let results = scatter(vec![0, 1, 2], |index| text.as_bytes()[index]);
        assert_eq!(results, b"abc");
        assert_eq!(scatter(Vec::<u8>::new(), |item| item), []);
    }
}
