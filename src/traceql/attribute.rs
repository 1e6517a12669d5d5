//! What an expression may ask of a span: attributes by scope and name, and properties of the span, its
//! trace, its events and links.

use crate::literal::Type;
use std::fmt;

/// Where an attribute is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// `.name`: the first of span, resource, event, link and instrumentation that has it.
    None,
    Span,
    Resource,
    Event,
    Link,
    Instrumentation,
}

impl Scope {
    pub const ALL: [Self; 6] =
        [Self::None, Self::Span, Self::Resource, Self::Event, Self::Link, Self::Instrumentation];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Span => "span",
            Self::Resource => "resource",
            Self::Event => "event",
            Self::Link => "link",
            Self::Instrumentation => "instrumentation",
        }
    }

    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| *scope != Self::None && scope.as_str() == name)
    }
}

macro_rules! intrinsics {
    ($($variant:ident $type:ident $name:literal $($other:literal)*;)*) => {
        /// A property of a span, its trace, its events or links.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Intrinsic { $($variant,)* }

        impl Intrinsic {
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name by which answers call it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// All names, that of answers first.
            pub fn names(self) -> &'static [&'static str] {
                match self { $(Self::$variant => &[$name, $($other,)*],)* }
            }

            pub fn type_of(self) -> Type {
                match self { $(Self::$variant => Type::$type,)* }
            }
        }
    };
}

intrinsics! {
    Duration Duration "duration" "span:duration";
    Name Text "name" "span:name";
    Status Status "status" "span:status";
    StatusMessage Text "statusMessage" "span:statusMessage";
    Kind Kind "kind" "span:kind";
    SpanId Text "span:id";
    ParentId Text "span:parentID";
    ChildCount Int "span:childCount";
    TraceId Text "trace:id";
    TraceDuration Duration "traceDuration" "trace:duration";
    RootName Text "rootName" "trace:rootName";
    RootService Text "rootServiceName" "trace:rootService";
    NestedSetLeft Int "nestedSetLeft";
    NestedSetRight Int "nestedSetRight";
    NestedSetParent Int "nestedSetParent";
    EventName Text "event:name";
    EventTime Duration "event:timeSinceStart";
    LinkTraceId Text "link:traceID";
    LinkSpanId Text "link:spanID";
    ScopeName Text "instrumentation:name";
    ScopeVersion Text "instrumentation:version";
}

impl Intrinsic {
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|intrinsic| intrinsic.names().contains(&name))
    }

    /// Whether its value is of the whole trace, or of the span's place among the others.
    pub fn needs_whole_trace(self) -> bool {
        matches!(
            self,
            Self::TraceDuration
                | Self::RootName
                | Self::RootService
                | Self::NestedSetLeft
                | Self::NestedSetRight
                | Self::NestedSetParent
                | Self::ChildCount
        )
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Attribute {
    Named {
        scope: Scope,
        name: String,
    },
    /// `alias`: which of its names the query uses, because answers repeat it.
    Intrinsic {
        intrinsic: Intrinsic,
        alias: usize,
    },
}

impl Attribute {
    pub fn named(scope: Scope, name: impl Into<String>) -> Self {
        Self::Named { scope, name: name.into() }
    }

    pub fn intrinsic(intrinsic: Intrinsic) -> Self {
        Self::Intrinsic { intrinsic, alias: 0 }
    }

    pub(crate) fn intrinsic_of_name(name: &str) -> Option<Self> {
        let intrinsic = Intrinsic::of_name(name)?;
        let alias = intrinsic.names().iter().position(|known| *known == name)?;
        Some(Self::Intrinsic { intrinsic, alias })
    }

    pub fn as_intrinsic(&self) -> Option<Intrinsic> {
        match self {
            Self::Intrinsic { intrinsic, .. } => Some(*intrinsic),
            Self::Named { .. } => None,
        }
    }

    pub fn type_of(&self) -> Type {
        self.as_intrinsic().map_or(Type::Any, Intrinsic::type_of)
    }

    /// Whether two ask for the same, under whichever names.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Intrinsic { intrinsic, .. }, Self::Intrinsic { intrinsic: other, .. }) => {
                intrinsic == other
            }
            _ => self == other,
        }
    }

    /// Whether `other`, which may have no scope, asks for this attribute as well.
    pub(crate) fn is_found_by(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Named { name, .. }, Self::Named { scope: Scope::None, name: other }) => {
                name == other
            }
            _ => self.is_same(other),
        }
    }

    /// The attribute's name without its scope.
    pub fn name(&self) -> &str {
        match self {
            Self::Named { name, .. } => name,
            Self::Intrinsic { intrinsic, alias } => intrinsic.names()[*alias],
        }
    }
}

/// Whether a character may stand in the name of an attribute without quotes.
pub(crate) fn is_name_part(c: char) -> bool {
    !c.is_whitespace() && !"{}()=~!<>&|^,\"".contains(c)
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Intrinsic { .. } => f.write_str(self.name()),
            Self::Named { scope, name } => {
                let name_is_plain = !name.is_empty() && name.chars().all(is_name_part);
                let quoted = || format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""));
                let name = if name_is_plain { name.clone() } else { quoted() };
                write!(f, "{}.{name}", scope.as_str())
            }
        }
    }
}
