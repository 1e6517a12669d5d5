//! The hand-written decoders against prost's, and against whatever bytes come.

use super::*;
use crate::canonical::LabelLimits;
use crate::metric_sink::{ExemplarRef, MetadataRef};
use model::{FloatHistogram, Labels};
use proptest::prelude::*;
use prost::Message;

/// The messages as prost reads and writes them.
mod oracle {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct WriteRequest {
        #[prost(message, repeated, tag = "1")]
        pub(super) timeseries: Vec<TimeSeries>,
        #[prost(message, repeated, tag = "3")]
        pub(super) metadata: Vec<Metadata>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct TimeSeries {
        #[prost(message, repeated, tag = "1")]
        pub(super) labels: Vec<Label>,
        #[prost(message, repeated, tag = "2")]
        pub(super) samples: Vec<Sample>,
        #[prost(message, repeated, tag = "3")]
        pub(super) exemplars: Vec<Exemplar>,
        #[prost(message, repeated, tag = "4")]
        pub(super) histograms: Vec<Histogram>,
    }
    #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, prost::Message)]
    pub(super) struct Label {
        #[prost(string, tag = "1")]
        pub(super) name: String,
        #[prost(string, tag = "2")]
        pub(super) value: String,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Sample {
        #[prost(double, tag = "1")]
        pub(super) value: f64,
        #[prost(int64, tag = "2")]
        pub(super) timestamp: i64,
        #[prost(int64, tag = "3")]
        pub(super) start_timestamp: i64,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Exemplar {
        #[prost(message, repeated, tag = "1")]
        pub(super) labels: Vec<Label>,
        #[prost(double, tag = "2")]
        pub(super) value: f64,
        #[prost(int64, tag = "3")]
        pub(super) timestamp: i64,
    }
    #[derive(Clone, PartialEq, Eq, prost::Message)]
    pub(super) struct Metadata {
        #[prost(int32, tag = "1")]
        pub(super) kind: i32,
        #[prost(string, tag = "2")]
        pub(super) metric: String,
        #[prost(string, tag = "4")]
        pub(super) help: String,
        #[prost(string, tag = "5")]
        pub(super) unit: String,
    }
    #[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
    pub(super) struct Span {
        #[prost(sint32, tag = "1")]
        pub(super) offset: i32,
        #[prost(uint32, tag = "2")]
        pub(super) length: u32,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Histogram {
        #[prost(uint64, optional, tag = "1")]
        pub(super) count_int: Option<u64>,
        #[prost(double, optional, tag = "2")]
        pub(super) count_float: Option<f64>,
        #[prost(double, tag = "3")]
        pub(super) sum: f64,
        #[prost(sint32, tag = "4")]
        pub(super) schema: i32,
        #[prost(double, tag = "5")]
        pub(super) zero_threshold: f64,
        #[prost(uint64, optional, tag = "6")]
        pub(super) zero_count_int: Option<u64>,
        #[prost(message, repeated, tag = "11")]
        pub(super) positive_spans: Vec<Span>,
        #[prost(sint64, repeated, tag = "12")]
        pub(super) positive_deltas: Vec<i64>,
        #[prost(double, repeated, tag = "13")]
        pub(super) positive_counts: Vec<f64>,
        #[prost(int32, tag = "14")]
        pub(super) reset_hint: i32,
        #[prost(int64, tag = "15")]
        pub(super) timestamp: i64,
        #[prost(double, repeated, tag = "16")]
        pub(super) custom_values: Vec<f64>,
        #[prost(int64, tag = "17")]
        pub(super) start_timestamp: i64,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Request2 {
        #[prost(string, repeated, tag = "4")]
        pub(super) symbols: Vec<String>,
        #[prost(message, repeated, tag = "5")]
        pub(super) timeseries: Vec<TimeSeries2>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct TimeSeries2 {
        #[prost(uint32, repeated, tag = "1")]
        pub(super) labels_refs: Vec<u32>,
        #[prost(message, repeated, tag = "2")]
        pub(super) samples: Vec<Sample>,
        #[prost(message, repeated, tag = "3")]
        pub(super) histograms: Vec<Histogram>,
        #[prost(message, repeated, tag = "4")]
        pub(super) exemplars: Vec<Exemplar2>,
        #[prost(message, optional, tag = "5")]
        pub(super) metadata: Option<Metadata2>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Exemplar2 {
        #[prost(uint32, repeated, tag = "1")]
        pub(super) labels_refs: Vec<u32>,
        #[prost(double, tag = "2")]
        pub(super) value: f64,
        #[prost(int64, tag = "3")]
        pub(super) timestamp: i64,
    }
    #[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
    pub(super) struct Metadata2 {
        #[prost(int32, tag = "1")]
        pub(super) kind: i32,
        #[prost(uint32, tag = "3")]
        pub(super) help_ref: u32,
        #[prost(uint32, tag = "4")]
        pub(super) unit_ref: u32,
    }
}
use oracle::{Exemplar, Histogram, Label, Metadata, Sample, Span, TimeSeries, WriteRequest};
use oracle::{Exemplar2, Metadata2, Request2, TimeSeries2};

/// Everything that a sink was told, as text.
#[derive(Default)]
struct Heard(Vec<String>);

impl MetricSink for Heard {
    fn series(&mut self, labels: &[u8]) {
        let labels = Labels::from_bytes(labels).expect("decoders make canonical bytes");
        self.0.push(labels.to_string());
    }
    fn sample(&mut self, timestamp_ms: i64, start_ms: i64, value: f64) {
        self.0.push(format!("{timestamp_ms} {start_ms} {:x}", value.to_bits()));
    }
    fn histogram(&mut self, timestamp_ms: i64, start_ms: i64, histogram: FloatHistogram) {
        self.0.push(format!("{timestamp_ms} {start_ms} {histogram}"));
    }
    fn exemplar(&mut self, exemplar: ExemplarRef<'_>) {
        let labels = Labels::from_bytes(exemplar.labels).expect("canonical bytes");
        self.0.push(format!("# {labels} {} {}", exemplar.value, exemplar.timestamp_ms));
    }
    fn metadata(&mut self, metric: &str, metadata: MetadataRef<'_>) {
        self.0.push(format!("# {metric} {metadata:?}"));
    }
}

fn decode1(bytes: &[u8]) -> Result<(Vec<String>, Decoded), ProtobufError> {
    let mut heard = Heard::default();
    let mut scratch = WriteScratch::default();
    let decoded = decode_write_v1(bytes, &LabelLimits::NONE, &mut scratch, &mut heard)?;
    Ok((heard.0, decoded))
}

fn decode2(bytes: &[u8]) -> Result<(Vec<String>, Decoded), WriteV2Error> {
    let mut heard = Heard::default();
    let mut scratch = WriteScratch::default();
    let decoded = decode_write_v2(bytes, &LabelLimits::NONE, &mut scratch, &mut heard)?;
    Ok((heard.0, decoded))
}

fn label(name: &str, value: &str) -> Label {
    Label { name: name.to_owned(), value: value.to_owned() }
}

/// What version 1 must come to, by way of prost's own decoding.
fn expected1(bytes: &[u8]) -> Vec<String> {
    let request = WriteRequest::decode(bytes).unwrap();
    let mut heard = Heard::default();
    for series in &request.timeseries {
        let Some(labels) = valid(&series.labels) else { continue };
        heard.series(labels.as_bytes());
        for sample in &series.samples {
            heard.sample(sample.timestamp, sample.start_timestamp, sample.value);
        }
        for exemplar in &series.exemplars {
            let labels = exemplar.labels.iter().map(|l| (l.name.as_str(), l.value.as_str()));
            let labels = Labels::from_pairs(labels);
            let (value, timestamp_ms) = (exemplar.value, exemplar.timestamp);
            heard.exemplar(ExemplarRef { labels: labels.as_bytes(), value, timestamp_ms });
        }
    }
    for metadata in request.metadata.iter().filter(|metadata| !metadata.metric.is_empty()) {
        let (unit, help) = (metadata.unit.as_str(), metadata.help.as_str());
        let kind = version1::kind(metadata.kind);
        heard.metadata(&metadata.metric, MetadataRef { kind, unit, help });
    }
    heard.0
}

fn valid(labels: &[Label]) -> Option<Labels> {
    let mut sorted = labels.to_vec();
    sorted.sort();
    let named = sorted.iter().any(|l| l.name == "__name__" && !l.value.is_empty());
    let twice = sorted.windows(2).any(|pair| pair[0].name == pair[1].name);
    let empty = sorted.iter().any(|l| l.name.is_empty());
    let pairs = sorted.iter().map(|l| (l.name.as_str(), l.value.as_str()));
    (named && !twice && !empty).then(|| Labels::from_pairs(pairs))
}

prop_compose! {
    fn labels()(
        name in prop_oneof![9 => Just("__name__"), 1 => Just("other")],
        more in prop::collection::btree_map("[A-Za-z_]{0,12}|é{1,3}", ".{0,40}|x{120,300}", 0..6),
        sorted in prop::bool::weighted(0.8),
        turn in 0usize..6,
    ) -> Vec<Label> {
        let mut labels: Vec<_> = more.iter().map(|(name, value)| label(name, value)).collect();
        labels.push(label(name, "a_metric"));
        labels.sort();
        if !sorted {
            let turn = turn % labels.len();
            labels.rotate_left(turn);
        }
        labels
    }
}

prop_compose! {
    // Zeros are left out of the bytes, which makes other shapes.
    fn sample_of()(
        value in prop_oneof![Just(0.0), any::<f64>()],
        timestamp in prop_oneof![Just(0), Just(1_700_000_000_000), any::<i64>()],
        start_timestamp in prop_oneof![3 => Just(0), 1 => any::<i64>()],
    ) -> Sample {
        Sample { value, timestamp, start_timestamp }
    }
}

prop_compose! {
    fn exemplar()(
        id in prop::option::of("[a-f0-9]{1,16}"), value: f64, timestamp: i64
    ) -> Exemplar {
        let labels = id.map(|id| label("trace_id", &id)).into_iter().collect();
        Exemplar { labels, value, timestamp }
    }
}

prop_compose! {
    fn series()(
        labels in labels(),
        samples in prop::collection::vec(sample_of(), 0..4),
        exemplars in prop::collection::vec(exemplar(), 0..2),
    ) -> TimeSeries {
        TimeSeries { labels, samples, exemplars, histograms: vec![] }
    }
}

prop_compose! {
    fn metadata()(
        kind in -1i32..9, metric in ".{0,5}", help in ".{0,9}", unit in "[a-z]{0,3}"
    ) -> Metadata {
        Metadata { kind, metric, help, unit }
    }
}

prop_compose! {
    fn request()(
        timeseries in prop::collection::vec(series(), 0..6),
        metadata in prop::collection::vec(metadata(), 0..3),
    ) -> WriteRequest {
        WriteRequest { timeseries, metadata }
    }
}

/// The same series in version 2's spelling.
fn to_version2(request: &WriteRequest) -> Request2 {
    let mut symbols = vec![String::new()];
    let mut refs = |labels: &[Label]| -> Vec<u32> {
        let texts = labels.iter().flat_map(|label| [&label.name, &label.value]);
        texts.map(|text| reference(&mut symbols, text)).collect()
    };
    let mut timeseries = Vec::new();
    for series in &request.timeseries {
        let exemplars = series.exemplars.iter().map(|exemplar| Exemplar2 {
            labels_refs: refs(&exemplar.labels),
            value: exemplar.value,
            timestamp: exemplar.timestamp,
        });
        let exemplars = exemplars.collect();
        let samples = series.samples.clone();
        let labels_refs = refs(&series.labels);
        timeseries.push(TimeSeries2 { labels_refs, samples, exemplars, ..Default::default() });
    }
    Request2 { symbols, timeseries }
}

fn reference(symbols: &mut Vec<String>, text: &str) -> u32 {
    let found = symbols.iter().position(|symbol| symbol == text);
    let index = found.unwrap_or_else(|| {
        symbols.push(text.to_owned());
        symbols.len() - 1
    });
    u32::try_from(index).unwrap()
}

proptest! {
    #[test]
    fn version_1_reads_what_prost_reads(request in request()) {
        let bytes = request.encode_to_vec();
        let (heard, decoded) = decode1(&bytes).unwrap();
        prop_assert_eq!(heard, expected1(&bytes));
        let bad = request.timeseries.iter().filter(|s| valid(&s.labels).is_none()).count();
        prop_assert_eq!(decoded.rejected.count, bad as u64);
    }

    #[test]
    fn fields_in_any_order_mean_the_same(request in request(), turn in 0usize..3) {
        let mut shuffled = Vec::new();
        for series in &request.timeseries {
            let parts = [
                TimeSeries { labels: series.labels.clone(), ..Default::default() },
                TimeSeries { samples: series.samples.clone(), ..Default::default() },
                TimeSeries { exemplars: series.exemplars.clone(), ..Default::default() },
            ];
            let mut parts = parts.map(|part| part.encode_to_vec());
            parts.rotate_left(turn);
            let mut writer = crate::protobuf::Writer::new();
            writer.bytes(1, &parts.concat());
            shuffled.extend(writer.into_bytes());
        }
        let (mut heard, _) = decode1(&shuffled).unwrap();
        let mut expected = expected1(&shuffled);
        heard.sort();
        expected.sort();
        prop_assert_eq!(heard, expected);
    }

    #[test]
    fn both_versions_say_the_same(mut request in request()) {
        request.metadata.clear();
        request.timeseries.retain(|series| !series.samples.is_empty());
        let (first, _) = decode1(&request.encode_to_vec()).unwrap();
        let (second, _) = decode2(&to_version2(&request).encode_to_vec()).unwrap();
        prop_assert_eq!(first, second);
    }

    #[test]
    fn any_bytes_are_survived(bytes: Vec<u8>) {
        let _ = decode1(&bytes);
        let _ = decode2(&bytes);
    }

    #[test]
    fn damaged_requests_are_survived(
        request in request(), at: prop::sample::Index, byte: u8, cut: prop::sample::Index
    ) {
        for mut bytes in [request.encode_to_vec(), to_version2(&request).encode_to_vec()] {
            if bytes.is_empty() {
                continue;
            }
            let place = at.index(bytes.len());
            bytes[place] = byte;
            bytes.truncate(cut.index(bytes.len()) + 1);
            let both = [decode1(&bytes).ok(), decode2(&bytes).ok()];
            for (heard, _) in both.into_iter().flatten() {
                prop_assert!(heard.len() <= bytes.len());
            }
        }
    }
}

fn an_integer_histogram() -> Histogram {
    Histogram {
        count_int: Some(7),
        sum: 1.5,
        schema: 1,
        zero_threshold: 0.25,
        zero_count_int: Some(1),
        positive_spans: vec![Span { offset: 1, length: 2 }, Span { offset: 3, length: 1 }],
        positive_deltas: vec![2, -1, 2],
        timestamp: 5,
        start_timestamp: 3,
        ..Default::default()
    }
}

fn with_histogram(histogram: Histogram) -> Vec<u8> {
    let labels = vec![label("__name__", "h")];
    let series = TimeSeries { labels, histograms: vec![histogram], ..Default::default() };
    WriteRequest { timeseries: vec![series], metadata: vec![] }.encode_to_vec()
}

#[test]
fn integer_histograms_become_counts() {
    let (heard, _) = decode1(&with_histogram(an_integer_histogram())).unwrap();
    let root2 = 2f64.sqrt();
    let expected = format!(
        "5 3 {{count:7, sum:1.5, [-0.25,0.25]:1, (1,{root2}]:2, ({root2},2]:1, ({},8]:3}}",
        32f64.sqrt()
    );
    assert_eq!(heard, ["{__name__=\"h\"}".to_owned(), expected]);
}

#[test]
fn bad_histograms_are_left_out_with_a_reason() {
    let good = an_integer_histogram();
    let changed = |change: fn(&mut Histogram)| {
        let mut histogram = good.clone();
        change(&mut histogram);
        histogram
    };
    for (histogram, reason) in [
        (changed(|h| h.schema = 53), "histogram has an unknown schema 53"),
        (changed(|h| h.schema = -10), "histogram has an unknown schema -10"),
        (
            changed(|h| h.positive_spans[1].length = 9),
            "histogram's spans don't cover its bucket counts",
        ),
        (
            changed(|h| h.positive_spans[1].offset = -1),
            "histogram's spans don't cover its bucket counts",
        ),
        (
            changed(|h| h.positive_spans[0].length = u32::MAX),
            "histogram's spans don't cover its bucket counts",
        ),
        (changed(|h| h.positive_deltas[0] = -2), "histogram has a negative number of observations"),
        (changed(|h| h.count_int = Some(6)), "histogram's buckets don't add up to its count"),
        (changed(|h| h.count_int = Some(8)), "histogram's buckets don't add up to its count"),
        (
            changed(|h| {
                h.schema = -53;
                h.custom_values = vec![2.0, 1.0];
            }),
            "histogram's custom bounds don't rise",
        ),
        (
            changed(|h| h.schema = -53),
            "histogram with custom buckets has a zero bucket or negative buckets",
        ),
    ] {
        let (_, decoded) = decode1(&with_histogram(histogram)).unwrap();
        assert_eq!(decoded.rejected.reasons, [reason]);
        assert_eq!((decoded.histograms, decoded.rejected.count), (0, 1));
    }
}

#[test]
fn finer_schemas_are_reduced() {
    let mut fine = an_integer_histogram();
    fine.schema = 10;
    let (heard, decoded) = decode1(&with_histogram(fine)).unwrap();
    assert_eq!(decoded.histograms, 1);
    assert!(heard[1].contains("count:7"), "{heard:?}");
}

#[test]
fn a_bad_series_leaves_its_neighbours_alone() {
    let ok = |value: &str| TimeSeries {
        labels: vec![label("__name__", "up"), label("job", value)],
        samples: vec![Sample { value: 1.0, timestamp: i64::MAX, start_timestamp: 0 }],
        ..Default::default()
    };
    let mut twice = ok("x");
    twice.labels.push(label("job", "y"));
    let mut nameless = ok("x");
    nameless.labels.remove(0);
    let timeseries = vec![ok("a"), twice, nameless, ok("b")];
    let request = WriteRequest { timeseries, metadata: vec![] };
    let (heard, decoded) = decode1(&request.encode_to_vec()).unwrap();
    assert_eq!(heard.len(), 4);
    assert_eq!((decoded.series, decoded.samples), (2, 2));
    assert_eq!(
        decoded.rejected.summary(),
        "label \"job\" of \"up\" is there twice; a series has no metric name"
    );
}

#[test]
fn text_that_is_not_utf_8_rejects_its_series() {
    let series = TimeSeries {
        labels: vec![label("__name__", "up"), label("job", "zz")],
        ..Default::default()
    };
    let request = WriteRequest { timeseries: vec![series], metadata: vec![] };
    let mut bytes = request.encode_to_vec();
    let end = bytes.len();
    bytes[end - 1] = 0xff;
    let (heard, decoded) = decode1(&bytes).unwrap();
    assert!(heard.is_empty());
    assert_eq!(decoded.rejected.reasons, ["a label of a series is not UTF-8"]);
}

#[test]
fn version_2_insists_on_its_rules() {
    let symbols = ["", "__name__", "up", "s", "help"].map(str::to_owned).to_vec();
    let sample = Sample { value: 1.0, timestamp: 2, start_timestamp: 1 };
    let series = |labels_refs: Vec<u32>| TimeSeries2 {
        labels_refs,
        samples: vec![sample.clone()],
        metadata: Some(Metadata2 { kind: 1, help_ref: 4, unit_ref: 3 }),
        ..Default::default()
    };
    let mut both = series(vec![1, 2]);
    both.histograms.push(an_integer_histogram());
    let timeseries = vec![series(vec![1, 2]), series(vec![1]), series(vec![1, 9]), both];
    let mut request = Request2 { symbols, timeseries };
    let (heard, decoded) = decode2(&request.encode_to_vec()).unwrap();
    let metadata = "# up MetadataRef { kind: Counter, unit: \"s\", help: \"help\" }";
    assert_eq!(heard, ["{__name__=\"up\"}", "2 1 3ff0000000000000", metadata]);
    let symbol = "a label refers to a symbol that is not there";
    let mixed = "series of \"up\" has both float samples and histograms";
    assert_eq!(decoded.rejected.reasons, [symbol, symbol, mixed]);

    request.symbols[0] = "x".to_owned();
    let error = decode2(&request.encode_to_vec()).unwrap_err();
    assert_eq!(error, WriteV2Error::FirstSymbol);
}

#[test]
fn lying_lengths_take_nothing() {
    for claim in [&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x7f][..], &[0x0a, 0x05, 0x0a, 0x7f]] {
        assert_eq!(decode1(claim).unwrap_err(), ProtobufError::Truncated);
    }
}
