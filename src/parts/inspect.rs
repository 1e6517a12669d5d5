//! Parts and manifests as text, for `mirador inspect`.

use crate::manifest::{Manifest, PartInfo};
use crate::{Part, PartError, manifest_format};
use std::fmt::Write as _;

/// The footer, totals per kind of page, and the page table up to `pages_max` lines.
pub fn describe_part(part: &Part, pages_max: usize) -> Result<String, PartError> {
    let mut text = String::new();
    write_meta(&mut text, part);
    write_kinds(&mut text, part)?;
    let count = part.page_count()?;
    let _ = writeln!(
        text,
        "\n   page   kind                  key     offset   stored      raw  codec  crc32c"
    );
    for index in 0..count.min(pages_max as u32) {
        let page = part.entry(index)?;
        let key = page.key.map_or("-".to_owned(), |key| key.to_string());
        let (kind, offset, stored, raw) =
            (page.kind, page.offset, page.stored_length, page.raw_length);
        let (codec, crc) = (page.codec_name(), page.crc);
        let _ = writeln!(
            text,
            "{index:>7} {kind:>6} {key:>20} {offset:>10} {stored:>8} {raw:>8}  {codec:<5}  {crc:08x}"
        );
    }
    if count as usize > pages_max {
        let _ = writeln!(text, "… and {} more", count as usize - pages_max);
    }
    Ok(text)
}

/// The whole content of a manifest, from the bytes of its file. `name` is for error messages.
pub fn describe_manifest(name: &str, bytes: &[u8]) -> Result<String, PartError> {
    let manifest = manifest_format::decode(name, bytes)?;
    let mut text = String::new();
    let Manifest { generation, tenant, signal, created_ms, covered, .. } = &manifest;
    let (segment, offset) = (covered.segment, covered.offset);
    let _ = writeln!(text, "manifest of {tenant} {signal}, generation {generation}");
    let _ = writeln!(text, "created      {created_ms} ms");
    let _ = writeln!(text, "covered      write-ahead log segment {segment}, offset {offset}");
    let _ = writeln!(text, "engine state {} bytes", manifest.engine_state.len());
    let _ = writeln!(text, "parts        {}, {} bytes", manifest.parts.len(), manifest.bytes());
    manifest.parts.iter().for_each(|part| write_part(&mut text, part, ""));
    for part in &manifest.quarantined {
        write_part(&mut text, &part.info, &format!(" IN QUARANTINE: {}", part.reason));
    }
    for tombstone in &manifest.tombstones {
        let (id, time, length) = (tombstone.id, tombstone.time, tombstone.matcher.len());
        let (min, max, added) = (time.min, time.max, tombstone.generation);
        let _ = writeln!(
            text,
            "  tombstone {id} time {min}..={max} matcher {length} bytes, generation {added}"
        );
    }
    manifest.damage.iter().for_each(|damage| _ = writeln!(text, "  DAMAGE: {}", damage.text));
    Ok(text)
}

fn write_meta(text: &mut String, part: &Part) {
    let meta = part.meta();
    let summary = &meta.summary;
    let _ = writeln!(text, "part {} of {} {}", meta.id, meta.tenant, meta.signal);
    let _ = writeln!(text, "file         {} bytes", part.bytes());
    let _ = writeln!(text, "schema       {}", summary.schema);
    let _ = writeln!(text, "level        {}", summary.level);
    let _ = writeln!(text, "day          {}", summary.day);
    let _ = writeln!(text, "time         {}..={}", summary.time.min, summary.time.max);
    let _ = writeln!(text, "rows         {}", summary.rows);
    let _ = writeln!(text, "series       {}", summary.series);
    let _ = writeln!(text, "tombstones   of generations up to {}", summary.tombstones_applied);
    let (segment, offset) = (summary.covered.segment, summary.covered.offset);
    let _ = writeln!(text, "covered      write-ahead log segment {segment}, offset {offset}");
    let _ = writeln!(text, "bounds       {} bytes", summary.bounds.len());
    let _ = writeln!(text, "engine data  {} bytes", summary.engine.len());
    summary.sources.iter().for_each(|source| _ = writeln!(text, "source       {source}"));
}

fn write_kinds(text: &mut String, part: &Part) -> Result<(), PartError> {
    let count = part.page_count()?;
    let _ = writeln!(text, "pages        {count}");
    let mut totals = std::collections::BTreeMap::<u16, (u64, u64, u64)>::new();
    for index in 0..count {
        let page = part.entry(index)?;
        let total = totals.entry(page.kind).or_default();
        total.0 += 1;
        total.1 += u64::from(page.stored_length);
        total.2 += u64::from(page.raw_length);
    }
    for (kind, (pages, stored, raw)) in totals {
        let _ = writeln!(text, "  kind {kind:>5}: {pages} pages, {raw} bytes stored as {stored}");
    }
    Ok(())
}

fn write_part(text: &mut String, part: &PartInfo, note: &str) {
    let PartInfo { id, bytes, level, day, time, rows, series, .. } = part;
    let (min, max) = (time.min, time.max);
    let _ = writeln!(
        text,
        "  part {id} {day} level {level} time {min}..={max} rows {rows} series {series} bytes \
         {bytes}{note}"
    );
}
