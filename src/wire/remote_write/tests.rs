//! The hand-written decoders against the generated types of `crate::proto`, and against any bytes.

use super::*;
use crate::canonical::LabelLimits;
use crate::metric_sink::{ExemplarRef, MetadataRef};
use crate::proto::io::prometheus::write::v2;
use crate::proto::prometheus::histogram::{Count, ZeroCount};
use crate::proto::prometheus::{
    BucketSpan, Exemplar, Histogram, Label, MetricMetadata, Sample, TimeSeries, WriteRequest,
};
use model::{FloatHistogram, Labels};
use proptest::prelude::*;
use prost::Message;

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

/// What the decoder of version 1 has to tell its sink, by way of prost's own decoding.
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
    for metadata in
        request.metadata.iter().filter(|metadata| !metadata.metric_family_name.is_empty())
    {
        let (unit, help) = (metadata.unit.as_str(), metadata.help.as_str());
        let kind = version1::kind(metadata.r#type);
        heard.metadata(&metadata.metric_family_name, MetadataRef { kind, unit, help });
    }
    heard.0
}

fn sort(labels: &mut [Label]) {
    labels.sort_by(|left, right| (&left.name, &left.value).cmp(&(&right.name, &right.value)));
}

/// The labels of a series that is taken.
fn valid(labels: &[Label]) -> Option<Labels> {
    let mut sorted = labels.to_vec();
    sort(&mut sorted);
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
        sort(&mut labels);
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
    ) -> MetricMetadata {
        MetricMetadata { r#type: kind, metric_family_name: metric, help, unit }
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

/// The same series as version 2 writes them.
fn to_version2(request: &WriteRequest) -> v2::Request {
    let mut symbols = vec![String::new()];
    let mut refs = |labels: &[Label]| -> Vec<u32> {
        let texts = labels.iter().flat_map(|label| [&label.name, &label.value]);
        texts.map(|text| reference(&mut symbols, text)).collect()
    };
    let mut timeseries = Vec::new();
    for series in &request.timeseries {
        let exemplars = series.exemplars.iter().map(|exemplar| v2::Exemplar {
            labels_refs: refs(&exemplar.labels),
            value: exemplar.value,
            timestamp: exemplar.timestamp,
        });
        let exemplars = exemplars.collect();
        let samples = series.samples.iter().map(|sample| v2::Sample {
            value: sample.value,
            timestamp: sample.timestamp,
            start_timestamp: sample.start_timestamp,
        });
        let samples = samples.collect();
        let labels_refs = refs(&series.labels);
        timeseries.push(v2::TimeSeries { labels_refs, samples, exemplars, ..Default::default() });
    }
    v2::Request { symbols, timeseries }
}

fn reference(symbols: &mut Vec<String>, text: &str) -> u32 {
    let found = symbols.iter().position(|symbol| symbol == text);
    let index = found.unwrap_or_else(|| {
        symbols.push(text.to_owned());
        symbols.len() - 1
    });
    u32::try_from(index).unwrap()
}

prop_compose! {
    fn side()(
        spans in prop::collection::vec((-9i32..9, 0u32..4), 0..4),
        deltas in prop::collection::vec(-1_000i64..1_000, 0..6),
        counts in prop::collection::vec(any::<f64>(), 0..6),
    ) -> (Vec<BucketSpan>, Vec<i64>, Vec<f64>) {
        (spans.into_iter().map(|(offset, length)| span(offset, length)).collect(), deltas, counts)
    }
}

prop_compose! {
    fn histogram()(
        is_float: bool,
        (count, zero, numbers) in (0u64..1 << 53, 0u64..1 << 53, any::<[f64; 2]>()),
        schema: i32,
        (negative, positive) in (side(), side()),
        custom_values in prop::collection::vec(any::<f64>(), 0..4),
        reset_hint in 0i32..4,
        (timestamp, start_timestamp) in any::<(i64, i64)>(),
    ) -> Histogram {
        let counts = match is_float {
            true => (Count::CountFloat(count as f64), ZeroCount::ZeroCountFloat(zero as f64)),
            false => (Count::CountInt(count), ZeroCount::ZeroCountInt(zero)),
        };
        Histogram {
            count: Some(counts.0),
            zero_count: Some(counts.1),
            sum: numbers[0],
            zero_threshold: numbers[1],
            schema,
            negative_spans: negative.0,
            negative_deltas: negative.1,
            negative_counts: negative.2,
            positive_spans: positive.0,
            positive_deltas: positive.1,
            positive_counts: positive.2,
            reset_hint,
            custom_values,
            timestamp,
            start_timestamp,
        }
    }
}

/// What the decoder has to make of a histogram, before anything is checked.
fn expected_histogram(bytes: &[u8]) -> (i64, i64, bool, FloatHistogram) {
    let read = Histogram::decode(bytes).unwrap();
    let (count, is_float) = match read.count.unwrap() {
        Count::CountInt(count) => (count as f64, false),
        Count::CountFloat(count) => (count, true),
    };
    let zero_count = match read.zero_count.unwrap() {
        ZeroCount::ZeroCountInt(count) => count as f64,
        ZeroCount::ZeroCountFloat(count) => count,
    };
    let side = |spans: Vec<BucketSpan>, deltas: Vec<i64>, counts: Vec<f64>| {
        let sums = (0..deltas.len()).map(|last| deltas[..=last].iter().sum::<i64>() as f64);
        let span =
            |span: BucketSpan| model::BucketSpan { offset: span.offset, length: span.length };
        let counts = if is_float { counts } else { sums.collect() };
        model::Buckets { spans: spans.into_iter().map(span).collect(), counts }
    };
    let hints = [
        model::ResetHint::Unknown,
        model::ResetHint::Reset,
        model::ResetHint::NotReset,
        model::ResetHint::Gauge,
    ];
    let histogram = FloatHistogram {
        count,
        zero_count,
        sum: read.sum,
        schema: read.schema,
        zero_threshold: read.zero_threshold,
        negative: side(read.negative_spans, read.negative_deltas, read.negative_counts),
        positive: side(read.positive_spans, read.positive_deltas, read.positive_counts),
        reset_hint: hints[read.reset_hint as usize],
        custom_bounds: read.custom_values.into(),
    };
    (read.timestamp, read.start_timestamp, is_float, histogram)
}

proptest! {
    #[test]
    fn histograms_are_read_as_prost_reads_them(histogram in histogram()) {
        let bytes = histogram.encode_to_vec();
        let read = histogram::read(&bytes).unwrap();
        let read = (read.timestamp_ms, read.start_ms, read.is_float, read.histogram);
        prop_assert_eq!(read, expected_histogram(&bytes));
    }

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
    fn what_is_encoded_is_read_back(mut request in request(), more in histogram()) {
        let labels = vec![label("__name__", "h")];
        let of_histogram = TimeSeries { labels, histograms: vec![more], ..Default::default() };
        // Version 1 has no start times.
        for series in &mut request.timeseries {
            series.samples.iter_mut().for_each(|sample| sample.start_timestamp = 0);
        }
        request.timeseries.push(TimeSeries {
            histograms: vec![Histogram { start_timestamp: 0, ..of_histogram.histograms[0].clone() }],
            ..of_histogram.clone()
        });
        let bytes = request.encode_to_vec();
        let again = encode_again(&bytes, WriteVersion::V1);
        prop_assert_eq!(decode1(&again).unwrap().0, decode1(&bytes).unwrap().0);
    }

    #[test]
    fn what_is_encoded_in_version_2_is_read_back(mut request in request(), repeat: bool) {
        request.timeseries.retain(|series| !series.samples.is_empty());
        request.metadata.clear();
        let bytes = to_version2(&request).encode_to_vec();
        let mut encoder = WriteEncoder::new(WriteVersion::V2);
        let mut scratch = WriteScratch::default();
        // A second request knows the texts of the first.
        for _ in 0..=usize::from(repeat) {
            decode_write_v2(&bytes, &LabelLimits::NONE, &mut scratch, &mut encoder).unwrap();
            let again = encoder.finish();
            prop_assert_eq!(decode2(&again).unwrap().0, decode2(&bytes).unwrap().0);
        }
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

fn span(offset: i32, length: u32) -> BucketSpan {
    BucketSpan { offset, length }
}

fn an_integer_histogram() -> Histogram {
    Histogram {
        count: Some(Count::CountInt(7)),
        sum: 1.5,
        schema: 1,
        zero_threshold: 0.25,
        zero_count: Some(ZeroCount::ZeroCountInt(1)),
        positive_spans: vec![span(1, 2), span(3, 1)],
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
    // Bounds are rounded as Prometheus rounds them.
    let root2 = "1.414213562373095";
    let expected = format!(
        "5 3 {{count:7, sum:1.5, [-0.25,0.25]:1, (1,{root2}]:2, ({root2},2]:1, (5.65685424949238,8]:3}}"
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
        (
            changed(|h| h.count = Some(Count::CountInt(6))),
            "histogram's buckets don't add up to its count",
        ),
        (
            changed(|h| h.count = Some(Count::CountInt(8))),
            "histogram's buckets don't add up to its count",
        ),
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
    let sample = v2::Sample { value: 1.0, timestamp: 2, start_timestamp: 1 };
    let series = |labels_refs: Vec<u32>| v2::TimeSeries {
        labels_refs,
        samples: vec![sample],
        metadata: Some(v2::Metadata { r#type: 1, help_ref: 4, unit_ref: 3 }),
        ..Default::default()
    };
    let mut both = series(vec![1, 2]);
    both.histograms.push(in_version_2(&an_integer_histogram()));
    let timeseries = vec![series(vec![1, 2]), series(vec![1]), series(vec![1, 9]), both];
    let mut request = v2::Request { symbols, timeseries };
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

/// Histograms have the same fields in both versions.
fn in_version_2(histogram: &Histogram) -> v2::Histogram {
    v2::Histogram::decode(&histogram.encode_to_vec()[..]).unwrap()
}

#[test]
fn histograms_of_both_versions_are_read_alike() {
    let symbols = ["", "__name__", "h"].map(str::to_owned).to_vec();
    let histograms = vec![in_version_2(&an_integer_histogram())];
    let series = v2::TimeSeries { labels_refs: vec![1, 2], histograms, ..Default::default() };
    let request = v2::Request { symbols, timeseries: vec![series] };
    let (second, _) = decode2(&request.encode_to_vec()).unwrap();
    let (first, decoded) = decode1(&with_histogram(an_integer_histogram())).unwrap();
    assert_eq!((first, decoded.histograms), (second, 1));
}

#[test]
fn lying_lengths_take_nothing() {
    for claim in [&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x7f][..], &[0x0a, 0x05, 0x0a, 0x7f]] {
        assert_eq!(decode1(claim).unwrap_err(), ProtobufError::Truncated);
    }
}

/// Decodes a request of version 1 into an encoder.
fn encode_again(request: &[u8], version: WriteVersion) -> Vec<u8> {
    let mut encoder = WriteEncoder::new(version);
    let mut scratch = WriteScratch::default();
    decode_write_v1(request, &LabelLimits::NONE, &mut scratch, &mut encoder).unwrap();
    encoder.finish()
}

/// What prost makes of a request with everything in it, in both versions.
#[test]
fn encoded_requests_have_prometheus_fields() {
    let mut encoders = [WriteVersion::V1, WriteVersion::V2].map(WriteEncoder::new);
    for encoder in &mut encoders {
        encoder.series(Labels::from_pairs([("__name__", "up"), ("job", "x")]).as_bytes());
        encoder.sample(1_000, 900, 1.5);
        let exemplar = Labels::from_pairs([("trace_id", "1")]);
        let labels = exemplar.as_bytes();
        encoder.exemplar(ExemplarRef { labels, value: 0.5, timestamp_ms: 999 });
        let kind = model::MetricKind::Gauge;
        encoder.metadata("up", MetadataRef { kind, unit: "s", help: "Is it up?" });
        encoder.series(Labels::from_pairs([("__name__", "h"), ("job", "x")]).as_bytes());
        encoder.histogram(
            1_000,
            0,
            histogram::read(&an_integer_histogram().encode_to_vec()).unwrap().histogram,
        );
    }
    let [first, second] = encoders.each_mut().map(WriteEncoder::finish);
    let first = WriteRequest::decode(&first[..]).unwrap();
    assert_eq!(first.timeseries[0].labels, [label("__name__", "up"), label("job", "x")]);
    let sample = Sample { value: 1.5, timestamp: 1_000, start_timestamp: 0 };
    assert_eq!(first.timeseries[0].samples, [sample]);
    assert_eq!(first.timeseries[0].exemplars[0].labels, [label("trace_id", "1")]);
    let expected = Histogram { timestamp: 1_000, start_timestamp: 0, ..an_integer_histogram() };
    assert_eq!(first.timeseries[1].histograms, [expected]);
    assert_eq!(first.metadata[0].metric_family_name, "up");
    assert_eq!((first.metadata[0].r#type, first.metadata[0].help.as_str()), (2, "Is it up?"));
    let second = v2::Request::decode(&second[..]).unwrap();
    let symbols = ["", "__name__", "up", "job", "x", "trace_id", "1", "Is it up?", "s", "h"];
    assert_eq!(second.symbols, symbols);
    assert_eq!(second.timeseries[0].labels_refs, [1, 2, 3, 4]);
    assert_eq!(second.timeseries[0].samples[0].start_timestamp, 900);
    assert_eq!(second.timeseries[0].exemplars[0].labels_refs, [5, 6]);
    let metadata = second.timeseries[0].metadata.unwrap();
    assert_eq!((metadata.r#type, metadata.help_ref, metadata.unit_ref), (2, 7, 8));
    assert_eq!(second.timeseries[1].labels_refs, [1, 9, 3, 4]);
}
