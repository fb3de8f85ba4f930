//! Whole files through the reader: dialect, order, errors, and independence of block size and threads.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use proptest::prelude::*;

use super::*;
use crate::types::{DataType, Value};

/// How a test reads: block size and number of threads.
const WAYS: [(usize, usize); 5] = [(1, 1), (1, 3), (7, 2), (64, 4), (1 << 20, 1)];

type Rows = Vec<Vec<Value>>;

struct Case<'a> {
    options: CsvOptions,
    types: &'a [DataType],
    block_bytes: usize,
    threads: usize,
}

impl Case<'_> {
    fn reader(&self, files: &[&Path]) -> CsvResult<CsvReader> {
        let columns = self
            .types
            .iter()
            .enumerate()
            .map(|(at, data_type)| (format!("c{at}"), data_type.clone()))
            .collect();
        let limits =
            CsvLimits { block_bytes: self.block_bytes, record_bytes_max: 100_000, ..CsvLimits::default() };
        CsvReader::open(
            files.iter().map(|file| file.to_path_buf()).collect(),
            self.options.clone(),
            columns,
            limits,
        )
    }

    fn run(&self, files: &[&Path]) -> CsvResult<(Rows, CsvSummary)> {
        let mut reader = self.reader(files)?;
        let mut rows = Rows::new();
        let summary = reader.run(
            self.threads,
            CsvMonitor::default(),
            |chunk| Ok(chunk.rows()),
            |chunk, mapped: usize| {
                assert_eq!(mapped, chunk.rows());
                assert_eq!(chunk.first_row(), rows.len() as u64);
                rows.extend(rows_of(chunk, self.types));
                Ok::<(), CsvError>(())
            },
        )?;
        assert_eq!(summary.rows, rows.len() as u64);
        Ok((rows, summary))
    }
}

fn rows_of(chunk: &CsvChunk, types: &[DataType]) -> Rows {
    let value = |row, column: usize| chunk.columns[column].vector().value(row, &types[column]);
    (0..chunk.rows()).map(|row| (0..types.len()).map(|column| value(row, column)).collect()).collect()
}

/// Reads a text in every way; all ways must agree, up to the words of the error.
fn read_with(text: &[u8], types: &[DataType], options: &CsvOptions) -> Result<(Rows, CsvSummary), String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t.csv");
    std::fs::write(&path, text).unwrap();
    let prefix = format!("{}/", directory.path().display());
    let mut first = None;
    for (block_bytes, threads) in WAYS {
        let case = Case { options: options.clone(), types, block_bytes, threads };
        let found = case.run(&[&path]).map_err(|error| error.to_string().replace(&prefix, ""));
        let expected = first.get_or_insert_with(|| found.clone());
        assert_eq!(&found, expected, "blocks of {block_bytes} bytes, {threads} threads");
    }
    first.unwrap()
}

fn read(text: &str, types: &[DataType]) -> Result<Rows, String> {
    read_with(text.as_bytes(), types, &CsvOptions::default()).map(|(rows, _)| rows)
}

fn check(text: &str, types: &[DataType], expected: &[&[Value]]) {
    assert_eq!(read(text, types).unwrap(), expected, "{text:?}");
}

fn check_error(text: &str, types: &[DataType], parts: &[&str]) {
    let error = read(text, types).unwrap_err();
    for part in parts {
        assert!(error.contains(part), "{error:?} lacks {part:?}");
    }
}

fn text(value: &str) -> Value {
    Value::from(value)
}

const TEXTS: [DataType; 2] = [DataType::String, DataType::String];
const KEY_AND_TEXT: [DataType; 2] = [DataType::Int64, DataType::String];

#[test]
fn rfc_4180() {
    check("", &TEXTS, &[]);
    check("a,b\n", &TEXTS, &[&[text("a"), text("b")]]);
    check("a,b", &TEXTS, &[&[text("a"), text("b")]]);
    check("a,b\r\nc,d\n", &TEXTS, &[&[text("a"), text("b")], &[text("c"), text("d")]]);
    check(
        "a,b\rc,d\r\ne,f",
        &TEXTS,
        &[&[text("a"), text("b")], &[text("c"), text("d")], &[text("e"), text("f")]],
    );
    check("\"a,1\",\"b\r\nb\"\n", &TEXTS, &[&[text("a,1"), text("b\r\nb")]]);
    check(",\"\"\n", &TEXTS, &[&[Value::Null, text("")]]);
    check(" a , b \n", &TEXTS, &[&[text(" a "), text(" b ")]]);
    check("\u{feff}a,b\n", &TEXTS, &[&[text("a"), text("b")]]);
    check("é,\"ü\"\"𝄞\"\n", &TEXTS, &[&[text("é"), text("ü\"𝄞")]]);
}

#[test]
fn doubled_quotes_are_one_quote_by_default() {
    let text_of = "2,\"Some more sample \"\"text\"\".\"\n";
    check(text_of, &KEY_AND_TEXT, &[&[Value::Int64(2), text("Some more sample \"text\".")]]);
}

#[test]
fn a_quoted_line_end_is_text_on_any_thread() {
    let lines: String =
        (0..200).map(|row| format!("{row},\"line {row}\nsecond, \"\"line\"\"\n\"\n")).collect();
    let expected: Rows = (0..200)
        .map(|row| vec![Value::Int64(row), text(&format!("line {row}\nsecond, \"line\"\n"))])
        .collect();
    assert_eq!(read(&lines, &KEY_AND_TEXT).unwrap(), expected);
}

#[test]
fn the_first_quoted_comma_may_stand_in_line_444() {
    let lines: String = (1..=600)
        .map(|row| if row == 444 { format!("{row},\"a, b\"\n") } else { format!("{row},a b\n") })
        .collect();
    let rows = read(&lines, &KEY_AND_TEXT).unwrap();
    assert_eq!(rows.len(), 600);
    assert_eq!(rows[443], [Value::Int64(444), text("a, b")]);
}

#[test]
fn lists_keep_their_apostrophes() {
    let types = [DataType::list(DataType::String)];
    let item = |value: &str| Value::List(vec![text(value)]);
    check("\"[ZCRB1:m7G(5')pppAm-capped]\"\n", &types, &[&[item("ZCRB1:m7G(5')pppAm-capped")]]);
}

#[test]
fn nested_cells() {
    let types = [DataType::list(DataType::Int64), DataType::list(DataType::list(DataType::String))];
    let numbers = Value::List(vec![Value::Int64(1), Value::Int64(2)]);
    let words = Value::List(vec![Value::List(vec![text("a"), text("b")]), Value::List(vec![])]);
    check("\"[1,2]\",\"[[a, b],[]]\"\n", &types, &[&[numbers.clone(), words]]);
    let options = CsvOptions { list_unbraced: true, ..CsvOptions::default() };
    let (rows, _) = read_with(b"\"1,2\"\n\"[1,2]\"\n", &types[..1], &options).unwrap();
    assert_eq!(rows, [vec![numbers.clone()], vec![numbers]]);
}

#[test]
fn blank_lines_are_passed_over_unless_there_is_one_column() {
    check("\na,b\n\r\n\nc,d\n\n", &TEXTS, &[&[text("a"), text("b")], &[text("c"), text("d")]]);
    check("1\n\n2\n", &[DataType::Int64], &[&[Value::Int64(1)], &[Value::Null], &[Value::Int64(2)]]);
}

#[test]
fn headers_and_skipped_lines() {
    let options = CsvOptions { header: true, ..CsvOptions::default() };
    let rows = |text: &str, options: &CsvOptions| {
        read_with(text.as_bytes(), &KEY_AND_TEXT, options).map(|(rows, _)| rows)
    };
    assert_eq!(rows("id,name\n1,a\n", &options).unwrap(), [vec![Value::Int64(1), text("a")]]);
    assert_eq!(rows("id,name\n", &options).unwrap(), Rows::new());
    assert_eq!(rows("id,name", &options).unwrap(), Rows::new());
    assert_eq!(rows("\"id\r\nx\",name\r\n1,a\r\n", &options).unwrap(), [vec![Value::Int64(1), text("a")]]);
    let error = rows("id,name,age\n1,a\n", &options).unwrap_err();
    assert!(error.contains("the header has 3 columns, expected 2"), "{error}");
    let skip = CsvOptions { skip: 2, ..options };
    assert_eq!(rows("it's \"\n#\nid,name\n1,a\n", &skip).unwrap(), [vec![Value::Int64(1), text("a")]]);
    assert_eq!(rows("1,a\n", &skip).unwrap(), Rows::new());
}

#[test]
fn a_forgotten_header_is_guessed_at() {
    check_error("c0,c1\n1,a\n", &KEY_AND_TEXT, &["line 1", "HEADER = true"]);
}

#[test]
fn null_texts() {
    let nulls = vec!["NA".to_string(), "\\N".to_string()];
    let options = CsvOptions { null_strings: nulls, ..CsvOptions::default() };
    let (rows, _) = read_with(b"NA,\"NA\"\n1,\n2,\\N\n", &KEY_AND_TEXT, &options).unwrap();
    let expected =
        [vec![Value::Null, text("NA")], vec![Value::Int64(1), text("")], vec![Value::Int64(2), Value::Null]];
    assert_eq!(rows, expected);
    let options = CsvOptions { null_strings: vec!["-1".to_string()], ..CsvOptions::default() };
    let (rows, _) = read_with(b"-1,-1\n\"-1\",\n", &KEY_AND_TEXT, &options).unwrap();
    assert_eq!(rows, [vec![Value::Null, Value::Null], vec![Value::Int64(-1), text("")]]);
}

#[test]
fn values_of_frequent_types() {
    use DataType::*;
    let types = [Int64, Int8, UInt16, Double, Bool, Date, String];
    let row = [
        Value::Int64(i64::MIN),
        Value::Int8(-128),
        Value::UInt16(65535),
        Value::Double(-0.5e3),
        Value::Bool(true),
        Value::Date(11_016),
        text("x"),
    ];
    check("-9223372036854775808,-128,65535,-0.5e3,true,2000-02-29,x\n", &types, &[&row]);
    check("\"7\"\n 8 \n+9\n", &[Int64], &[&[Value::Int64(7)], &[Value::Int64(8)], &[Value::Int64(9)]]);
}

#[test]
fn texts_of_every_length_at_every_place() {
    let lines: String =
        (0..40).map(|length| format!("{},\"{}\"\n", "é".repeat(length), "x".repeat(length))).collect();
    for (length, row) in read(&lines, &TEXTS).unwrap().iter().enumerate() {
        let first = if length == 0 { Value::Null } else { text(&"é".repeat(length)) };
        assert_eq!(row, &[first, text(&"x".repeat(length))]);
    }
}

#[test]
fn errors_name_line_column_and_text() {
    let parts = ["t.csv, line 3, column 1 (c0, INT64)", "field: \"x\"", "record: \"x,\\\"b\\\"\""];
    check_error("1,\"a\n\"\nx,\"b\"\n", &KEY_AND_TEXT, &parts);
    check_error("1,a\n2\n", &KEY_AND_TEXT, &["line 2", "too few fields: expected 2, found 1"]);
    check_error("1,a\nx,b,c\n", &KEY_AND_TEXT, &["line 2", "too many fields: expected 2, found 3"]);
    check_error("1,a\n2,b\n3,\"c\n\n", &KEY_AND_TEXT, &["line 3", "opened in line 3 is never closed"]);
    check_error(
        "1,a\n2,\"b\"c\n",
        &KEY_AND_TEXT,
        &["line 2", "text follows a closing quote", "field: \"\\\"b\\\"c\""],
    );
    check_error("1,a\n300,b\n", &[DataType::Int8, DataType::String], &["line 2, column 1 (c0, INT8)"]);
    check_error("99999999999999999999\n", &[DataType::Int64], &["line 1"]);
    check_error("\"\"\n", &[DataType::Int64], &["line 1, column 1"]);
}

#[test]
fn the_first_bad_row_in_file_order_is_reported() {
    let mut lines: Vec<String> = (0..500).map(|row| format!("{row},{row}\n")).collect();
    lines[300] = "300\n".into();
    lines[301] = "x,301\n".into();
    lines[100] = "100,x\n".into();
    let types = [DataType::Int64, DataType::Int64];
    check_error(&lines.concat(), &types, &["line 101, column 2"]);
    lines[99] = "99,\"99\" \n".into();
    check_error(&lines.concat(), &types, &["line 100"]);
}

#[test]
fn text_that_is_not_utf_8() {
    let found = read_with(b"1,a\n2,b\xffc\n3,d\n", &KEY_AND_TEXT, &CsvOptions::default());
    let error = found.unwrap_err();
    assert!(error.contains("line 2, column 2") && error.contains("not valid UTF-8"), "{error}");
}

#[test]
fn bad_rows_are_counted_and_passed_over() {
    let options = CsvOptions { errors: ErrorPolicy::Ignore { limit: 10 }, ..CsvOptions::default() };
    let lines = b"1,a\nx,b\n3\n\n4,\"d\ne\"\n5,\"f\"g\ny,h,i\n6,\xff\n7,j\n";
    let (rows, summary) = read_with(lines, &KEY_AND_TEXT, &options).unwrap();
    let keys: Vec<_> = rows.iter().map(|row| row[0].clone()).collect();
    assert_eq!(keys, [Value::Int64(1), Value::Int64(4), Value::Int64(7)]);
    assert_eq!((summary.rows, summary.rejected), (3, 5));
    let lines_of: Vec<_> = summary.rejects.iter().map(|error| error.line).collect();
    assert_eq!(lines_of, [2, 3, 7, 8, 9]);
    let few = CsvOptions { errors: ErrorPolicy::Ignore { limit: 2 }, ..options.clone() };
    let error = read_with(lines, &KEY_AND_TEXT, &few).unwrap_err();
    assert!(error.contains("more than 2 rows were rejected") && error.contains("line 7"), "{error}");
    let error = read_with(b"1,a\n2,\"b\n3,c\n", &KEY_AND_TEXT, &options).unwrap_err();
    assert!(error.contains("never closed"), "{error}");
}

#[test]
fn rows_are_found_again() {
    let directory = tempfile::tempdir().unwrap();
    let paths = ["a.csv", "b.csv"].map(|name| directory.path().join(name));
    std::fs::write(&paths[0], "id,t\n1,a\n\nx,bad\n2,\"b\nb\"\n3,c\n").unwrap();
    std::fs::write(&paths[1], "id,t\n4,d\r\n5,\"e\"\r\n").unwrap();
    let errors = ErrorPolicy::Ignore { limit: 1 };
    let options = CsvOptions { header: true, errors, ..CsvOptions::default() };
    let expected: [(u64, &str, &str); 5] = [
        (2, "a.csv", "1,a"),
        (5, "a.csv", "2,\"b\nb\""),
        (7, "a.csv", "3,c"),
        (2, "b.csv", "4,d"),
        (3, "b.csv", "5,\"e\""),
    ];
    for (block_bytes, threads) in WAYS {
        let case = Case { options: options.clone(), types: &KEY_AND_TEXT, block_bytes, threads };
        let mut reader = case.reader(&[&paths[0], &paths[1]]).unwrap();
        let check_chunk = |chunk: &mut CsvChunk, _: ()| {
            for row in 0..chunk.rows() {
                let origin = chunk.locate(row);
                assert_eq!(origin.line, expected[chunk.first_row() as usize + row].0);
            }
            Ok::<(), CsvError>(())
        };
        reader.run(threads, CsvMonitor::default(), |_| Ok(()), check_chunk).unwrap();
        for (row, (line, file, raw)) in expected.iter().enumerate() {
            let origin = reader.locate(row as u64).unwrap();
            assert_eq!((origin.line, origin.raw_text.as_str()), (*line, *raw));
            assert!(origin.file.ends_with(file));
        }
        assert_eq!(reader.locate(5), None);
        let error = reader.row_error(1, Some(0), "key 2 exists already").unwrap().to_string();
        assert!(error.contains("a.csv, line 5, column 1 (c0, INT64): key 2 exists already"), "{error}");
    }
}

#[test]
fn chunks_can_be_pulled() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t.csv");
    std::fs::write(&path, (0..100).map(|row| format!("{row},x\n")).collect::<String>()).unwrap();
    let case = Case { options: CsvOptions::default(), types: &KEY_AND_TEXT, block_bytes: 50, threads: 1 };
    let mut reader = case.reader(&[&path]).unwrap();
    let mut chunk = reader.new_chunk();
    let mut rows = Rows::new();
    while reader.next_chunk(&mut chunk).unwrap() {
        assert_eq!(chunk.first_row(), rows.len() as u64);
        rows.extend(rows_of(&chunk, &KEY_AND_TEXT));
    }
    assert_eq!(rows.len(), 100);
    assert_eq!(rows[99], [Value::Int64(99), text("x")]);
    assert!(!reader.next_chunk(&mut chunk).unwrap());
    assert_eq!(reader.progress(), CsvProgress { bytes_read: 490, bytes_total: 490, rows: 100 });
}

#[test]
fn loads_can_be_cancelled_and_consumers_can_fail() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t.csv");
    std::fs::write(&path, "1,x\n".repeat(1000)).unwrap();
    for threads in [1, 3] {
        let case = Case { options: CsvOptions::default(), types: &KEY_AND_TEXT, block_bytes: 64, threads };
        let flag = AtomicBool::new(false);
        let monitor = CsvMonitor { cancelled: Some(&flag), ..CsvMonitor::default() };
        let mut chunks = 0;
        let outcome = case.reader(&[&path]).unwrap().run(
            threads,
            monitor,
            |_| Ok(()),
            |_, ()| {
                chunks += 1;
                flag.store(chunks == 3, std::sync::atomic::Ordering::Relaxed);
                Ok::<(), CsvError>(())
            },
        );
        assert!(matches!(outcome, Err(CsvError::Cancelled)));
        assert_eq!(chunks, 3);
        let failing = |chunk: &mut CsvChunk| match chunk.rows() {
            0 => Ok(()),
            _ => Err(CsvError::from(chunk.row_error(2, None, "no such node"))),
        };
        let outcome =
            case.reader(&[&path]).unwrap().run(threads, CsvMonitor::default(), failing, |_, ()| Ok(()));
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains("line 3: no such node"), "{error}");
    }
}

#[test]
fn a_panic_in_a_stage_reaches_the_caller() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t.csv");
    std::fs::write(&path, "1,x\n".repeat(1000)).unwrap();
    let case = Case { options: CsvOptions::default(), types: &KEY_AND_TEXT, block_bytes: 64, threads: 3 };
    let outcome = std::panic::catch_unwind(|| {
        let map = |_: &mut CsvChunk| -> CsvResult<()> { panic!("a fault of the caller") };
        case.reader(&[&path]).unwrap().run(3, CsvMonitor::default(), map, |_, ()| Ok(())).map(|_| ())
    });
    assert!(outcome.is_err());
}

/// A record as it may be written: each field quoted or not.
fn written(fields: &[(String, bool)]) -> String {
    let write = |(field, quoted): &(String, bool)| {
        let needed = field.contains([',', '\n', '\r']) || field.starts_with('"');
        if *quoted || needed { format!("\"{}\"", field.replace('"', "\"\"")) } else { field.clone() }
    };
    fields.iter().map(write).collect::<Vec<_>>().join(",")
}

fn field() -> impl Strategy<Value = (String, bool)> {
    let content = prop_oneof![3 => "[a-c0-9 ]{0,6}", 2 => "[\",\n\r'é\\\\ab]{0,5}", 1 => "[x]{40,90}"];
    (content, any::<bool>())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn written_records_are_read_as_the_reference_does(
        rows in prop::collection::vec(prop::collection::vec(field(), 3), 0..40),
        line_end in prop::sample::select(vec!["\n", "\r\n", "\r"]),
        last_line_end in any::<bool>(),
        block_bytes in 1usize..200,
        threads in 1usize..4,
    ) {
        let mut text = rows.iter().map(|row| written(row)).collect::<Vec<_>>().join(line_end);
        if last_line_end {
            text.push_str(line_end);
        }
        let mut reference =
            ::csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
        let expected: Vec<Vec<String>> = reference
            .records()
            .map(|record| record.unwrap().iter().map(str::to_owned).collect())
            .collect();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("t.csv");
        std::fs::write(&path, &text).unwrap();
        let types = [DataType::String, DataType::String, DataType::String];
        let case = Case { options: CsvOptions::default(), types: &types, block_bytes, threads };
        let (found, _) = case.run(&[&path]).unwrap();
        let shown: Vec<Vec<String>> = found
            .iter()
            .map(|row| row.iter().map(|value| value.as_str().unwrap_or_default().to_owned()).collect())
            .collect();
        prop_assert_eq!(shown, expected);
        for (row, fields) in found.iter().zip(&rows) {
            for (value, (written, quoted)) in row.iter().zip(fields) {
                prop_assert_eq!(value.is_null(), written.is_empty() && !quoted);
            }
        }
    }

    #[test]
    fn any_text_is_read_alike_in_every_way(
        text in "([a0,\"\n\r\\\\]|,|\n|1,2\n|\"x\",y\n){0,60}",
        escape in prop::sample::select(vec![None, Some(b'\\')]),
        ignore in any::<bool>(),
        header in any::<bool>(),
    ) {
        let dialect = Dialect { escape, ..Dialect::default() };
        let errors = if ignore { ErrorPolicy::Ignore { limit: u64::MAX } } else { ErrorPolicy::Stop };
        let options = CsvOptions { dialect, errors, header, ..CsvOptions::default() };
        // Only agreement counts here, which `read_with` checks.
        let _agreed = read_with(text.as_bytes(), &TEXTS, &options);
        let _agreed = read_with(text.as_bytes(), &[DataType::Int64, DataType::String], &options);
    }

    #[test]
    fn any_bytes_are_a_result_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _agreed = read_with(&bytes, &TEXTS, &CsvOptions::default());
    }
}
