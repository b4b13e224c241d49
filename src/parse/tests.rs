use super::*;

/// What a visitor was told: each record's raw text, or the reject's position and reason.
#[derive(Default)]
struct Told {
    records: Vec<(u64, String)>,
    rejects: Vec<(Option<u64>, RejectReason)>,
}

impl Visitor for Told {
    fn chunk(&mut self, chunk: &Chunk<'_>) {
        for record in chunk.records() {
            self.records.push((record.position(), String::from_utf8(record.raw().to_vec()).unwrap()));
        }
    }

    fn reject(&mut self, reject: Reject) {
        self.rejects.push((reject.position, reject.reason));
    }
}

fn told(text: impl AsRef<[u8]>) -> Told {
    let mut told = Told::default();
    Parser::default().parse(text.as_ref(), &mut told);
    told
}

fn records(text: impl AsRef<[u8]>) -> Vec<String> {
    let told = told(text);
    assert_eq!(told.rejects, []);
    assert!(told.records.iter().enumerate().all(|(index, (position, _))| index as u64 == *position));
    told.records.into_iter().map(|(_, raw)| raw).collect()
}

const A: &str = r#"{"eventID":"a","requestParameters":{"x":[{},{"eventID":"no"}]}}"#;
const B: &str = r#"{"eventID":"b", "note" : "},{\"eventID\"" }"#;

#[test]
fn all_envelopes_give_the_same_records() {
    for text in [
        format!(r#"{{"Records":[{A},{B}]}}"#),
        format!(" {{ \"Records\" : [ {A} , {B} ] }} \n"),
        format!(r#"{{"Records":[{A},{B}],"more":[1]}}"#),
        format!(r#"{{"more":[1],"Records":[{A},{B}]}}"#),
        format!("[{A},{B}]"),
        format!("{A}\n{B}\n"),
        format!("\u{feff}{A}{B}"),
        format!(r#"{{"Records":[{A}]}}{{"Records":[{B}]}}"#),
        format!(r#"{{"version":"0","detail-type":"AWS API Call via CloudTrail","detail":{A}}}"#) + "\n" + B,
    ] {
        assert_eq!(records(&text), [A, B], "{text}");
    }
}

#[test]
fn one_record_is_an_object_of_one() {
    assert_eq!(records(A), [A]);
}

#[test]
fn chunks_are_cut_at_records_only() {
    let text: Vec<String> = (0..20_000)
        .map(|index| format!(r#"{{"eventID":"{index}","requestParameters":[{{"a":1}},{{"eventID":"{index}"}}]}}"#))
        .collect();
    let object = format!(r#"{{"Records":[{}]}}"#, text.join(","));
    assert!(object.len() > 4 * CHUNK);
    assert_eq!(records(object), text);
}

#[test]
fn an_empty_array_has_no_records_and_no_rejects() {
    assert_eq!(records(r#"{"Records":[]}"#), Vec::<String>::new());
    assert_eq!(records("[ ]"), Vec::<String>::new());
}

#[test]
fn objects_without_records_are_rejected_whole() {
    for text in ["", "  \n", "{}", r#"{"Records":null}"#, r#"{"Records":{}}"#, "7", r#""text""#, r#"{"a":1}"#] {
        assert_eq!(told(text).rejects, [(None, RejectReason::NoRecords)], "{text}");
    }
    assert_eq!(told("{\"a\":").rejects, [(None, RejectReason::BrokenJson)]);
    assert_eq!(told("<html>").rejects, [(None, RejectReason::BrokenJson)]);
}

#[test]
fn a_broken_record_takes_no_other_with_it() {
    let deep = format!(r#"{{"eventID":"d","x":{}1{}}}"#, "[".repeat(1100), "]".repeat(1100));
    for (bad, reason) in [
        ("7", RejectReason::NotAnObject),
        ("{}", RejectReason::NotAnObject),
        ("null", RejectReason::NotAnObject),
        (r#"{"eventID":tru}"#, RejectReason::BrokenJson),
        (r#"{"eventID":"a" "b":1}"#, RejectReason::BrokenJson),
        (r#"{"eventID":"unclosed}"#, RejectReason::BrokenJson),
        (r#"{"eventID":{"a":1}"#, RejectReason::BrokenJson),
        (deep.as_str(), RejectReason::TooDeep),
    ] {
        let told = told(format!(r#"{{"Records":[{A},{bad},{B}]}}"#));
        assert_eq!(told.rejects, [(Some(1), reason)], "{bad}");
        assert_eq!(told.records, [(0, A.to_owned()), (2, B.to_owned())], "{bad}");
    }
}

#[test]
fn invalid_utf8_rejects_its_record_only() {
    let object = [br#"{"Records":["#, A.as_bytes(), b",{\"eventID\":\"\xff\"},", B.as_bytes(), b"]}"].concat();
    let told = told(object);
    assert_eq!(told.rejects, [(Some(1), RejectReason::BrokenJson)]);
    assert_eq!(told.records.len(), 2);
}

#[test]
fn cut_text_keeps_the_whole_records_before_the_cut() {
    let whole = format!(r#"{{"Records":[{A},{B}]}}"#);
    let cut = told(&whole[..whole.len() - 20]);
    assert_eq!(cut.records, [(0, A.to_owned())]);
    assert_eq!(cut.rejects, [(Some(1), RejectReason::BrokenJson), (None, RejectReason::BrokenJson)]);
}

#[test]
fn numbers_keep_their_text_whatever_their_size() {
    let record = r#"{"eventID":"n","x":123456789012345678901234567890,"y":1.0e5,"z":-0.0}"#;
    assert_eq!(records(format!("[{record}]")), [record]);
}

#[test]
fn members_are_found_with_their_raw_text() {
    struct Members(Vec<String>);
    impl Visitor for Members {
        fn chunk(&mut self, chunk: &Chunk<'_>) {
            let record = chunk.record(0);
            let known = (0..RECORD.len()).filter_map(|index| record.member(index)).map(|value| value.raw().to_owned());
            self.0.extend(known);
            self.0.extend(record.unknown().map(|(name, raw)| format!("{name}={raw}")));
        }
        fn reject(&mut self, reject: Reject) {
            panic!("{reject:?}");
        }
    }
    let text = r#"[{"eventID" : "\u0061\"" , "\u0065ventName":"x","new\n":{ "a" : [1, 2 ] } ,"readOnly":true }]"#;
    let mut members = Members(Vec::new());
    Parser::default().parse(text.as_bytes(), &mut members);
    assert_eq!(members.0, [r#""x""#, r#""\u0061\"""#, "true", "new\n={ \"a\" : [1, 2 ] }"]);
}

#[test]
fn a_known_member_twice_is_told() {
    struct Twice(Vec<Option<&'static str>>);
    impl Visitor for Twice {
        fn chunk(&mut self, chunk: &Chunk<'_>) {
            self.0.extend(chunk.records().map(|record| record.duplicate_member()));
        }
        fn reject(&mut self, reject: Reject) {
            panic!("{reject:?}");
        }
    }
    let mut twice = Twice(Vec::new());
    Parser::default().parse(br#"[{"eventID":"a","eventID":"b"},{"eventID":"c"}]"#, &mut twice);
    assert_eq!(twice.0, [Some("eventID"), None]);
}

#[test]
fn an_object_in_which_no_record_ends_is_given_up_in_time() {
    let object = format!("[{}", "{\"eventID\":[1},".repeat(60_000));
    let told = told(&object);
    assert!(told.records.is_empty());
    assert!(told.rejects.len() < 60_000);
    assert!(told.rejects.iter().all(|(_, reason)| *reason == RejectReason::BrokenJson));
}

#[test]
fn a_bracket_too_many_or_too_few_takes_no_record_with_it() {
    let whole = |text: &str| {
        let told = told(text);
        assert!(!told.rejects.is_empty(), "{text}");
        told.records.into_iter().map(|(_, raw)| raw).collect::<Vec<_>>()
    };
    for text in [
        format!(r#"{{"Records":[{A}}},{B}]}}"#),
        format!(r#"{{"Records":[{A}],{B}]}}"#),
        format!(r#"{{"Records":[{A},{B}}}]}}"#),
        format!(r#"{{"Records":[{A},{B}]"#),
        format!(r#"{{"Records":[{A}]}},{B}]}}"#),
        format!("[{A}]],{B}]"),
        format!("[{A},{B}}}"),
    ] {
        assert_eq!(whole(&text), [A, B], "{text}");
    }
}

#[test]
fn a_broken_line_takes_no_other_with_it() {
    for bad in [r#"{"eventID":"unclosed"#, r#"{"eventID":"x,"y":"]"}"#, r#"{"eventID":{"a":1}"#, "oh", r#""text"#, "]"]
    {
        for text in [format!("{A}\n{bad}\n{B}\n"), format!("{A}\r\n{bad}\r\n {B}")] {
            let told = told(&text);
            assert_eq!(told.records.iter().map(|(_, raw)| raw.as_str()).collect::<Vec<_>>(), [A, B], "{bad}");
            assert!(told.rejects.iter().all(|(position, _)| position.is_some()) && !told.rejects.is_empty(), "{bad}");
        }
    }
    let told = told(format!(r#"{{"eventID":tru}}{A}{{"eventID":"unclosed}}{B}"#));
    assert_eq!(told.records.len(), 2);
}

#[test]
fn lines_of_which_none_ends_are_given_up_in_time() {
    let told = told("{\"eventID\":[\n".repeat(60_000));
    assert!(told.records.is_empty() && told.rejects.len() < 100, "{}", told.rejects.len());
}

#[test]
fn records_that_are_not_separated_by_one_comma_are_read_and_told_of() {
    for text in [format!("[{A} {B}]"), format!("[{A},,{B}]"), format!("[,{A},{B}]"), format!("[{A},{B},]")] {
        let told = told(&text);
        assert_eq!(told.rejects, [(None, RejectReason::BrokenJson)], "{text}");
        assert_eq!(told.records.len(), 2, "{text}");
    }
}

#[test]
fn what_is_white_space_elsewhere_is_none_in_json() {
    for text in [format!("\x0c{A}"), format!("[{A}\x0c]"), format!("{A}\u{a0}")] {
        assert_ne!(told(&text).rejects, [], "{text:?}");
    }
}

#[test]
fn a_second_array_of_records_is_told_of() {
    for second in [format!("[{B}]"), "null".to_owned()] {
        let told = told(format!(r#"{{"Records":[{A}],"more":1,"Records":{second}}}"#));
        assert_eq!(told.records, [(0, A.to_owned())]);
        assert_eq!(told.rejects, [(None, RejectReason::DuplicateMember)]);
    }
}
