//! The columns of a row group, as logs and spans store them. Step 3.
//!
//! Lives here: texts, codes, whole numbers and identifiers to bytes and back; a column of texts as a
//! dictionary with codes; the index that finds the row groups in which an identifier occurs; how much
//! effort a writer makes.
//! Not here: which columns a table has, in which order its rows are, where its pages are in a part
//! (the engines), files and checksums (parts).
//! Invariants: a column comes back exactly; a decoder is told how many rows to expect, and takes no
//! more memory than those and a small multiple of its input; any bytes are a column or an error.
//! A dictionary belongs to one row group, never to a whole part, so that a part may be of any size.
//!
//! Read first: [`TextList`], [`Interner`], [`TextColumn`], [`IdIndexBuilder`].

mod codes;
mod effort;
mod ids;
mod index;
mod interner;
mod numbers;
mod row_set;
mod shape;
mod text_column;
mod texts;

pub use codes::{decode_codes, encode_codes, pick_codes, rows_with_code};
pub use effort::Effort;
pub use ids::{
    ID_DIGITS_MAX, ID_DIGITS_MIN, IdForm, UUID_LENGTH, each_identifier, each_word, end_of_uuid,
    hex_to_ids, id_form, identifier, ids_to_hex, is_hex, is_uuid, is_word_byte,
};
pub use index::{IdIndexBuilder, IdPage, IdQuery, hash_id};
pub use interner::Interner;
pub use numbers::{NUMBERS_BLOCK, Numbers, decode_numbers, encode_numbers};
pub use row_set::RowSet;
pub use text_column::{ABSENT, IdColumn, TextColumn, TextColumnBuilder, rows_with_text};
pub use texts::TextList;
