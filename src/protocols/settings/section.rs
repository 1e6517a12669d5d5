//! Declaring settings: the parser, the defaults and the documentation all come from one definition.

/// A setting as the reference page shows it.
#[derive(Clone, Copy, Debug)]
pub struct SettingDoc {
    pub name: &'static str,
    /// The doc comment's lines.
    pub doc: &'static [&'static str],
}

#[derive(Clone, Copy, Debug)]
pub struct SectionDoc {
    /// The table's name in the file.
    pub name: &'static str,
    pub doc: &'static [&'static str],
    pub settings: &'static [SettingDoc],
}

/// Declares a group of sections that stand beside each other in the file.
#[macro_export]
macro_rules! sections {
    ( $(#[doc = $doc:literal])* $group:ident { $( $field:ident: $section:ident, )* } ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Deserialize, serde::Serialize)]
        #[serde(default)]
        pub struct $group {
            $( pub $field: $section, )*
        }

        impl $group {
            /// In the order of the file.
            pub const SECTIONS: &[$crate::settings::SectionDoc] = &[$($section::DOC),*];
        }
    };
}

/// Declares a section: a struct with defaults whose doc comments are its documentation.
#[macro_export]
macro_rules! section {
    (
        $(#[doc = $section_doc:literal])*
        $section:ident as $table:literal {
            $( $(#[doc = $doc:literal])* $name:ident: $kind:ty = $default:expr, )*
        }
    ) => {
        $(#[doc = $section_doc])*
        #[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $section {
            $( $(#[doc = $doc])* pub $name: $kind, )*
        }

        impl Default for $section {
            fn default() -> Self {
                Self { $( $name: $default, )* }
            }
        }

        impl $section {
            pub const DOC: $crate::settings::SectionDoc = $crate::settings::SectionDoc {
                name: $table,
                doc: &[$($section_doc),*],
                settings: &[
                    $( $crate::settings::SettingDoc {
                        name: stringify!($name),
                        doc: &[$($doc),*],
                    }, )*
                ],
            };
        }
    };
}
