//! Each text has one spelling: every other is refused, each with an error of its own.

use mesh_tlog::{
    AddCheckpoint, Base64Error, Checkpoint, CheckpointError, DecimalError, HashError, KeyError,
    NOTE_BYTES_MAX, NoteError, OpenError, ParseError, ProofFile, ProofFileError, Prover,
    RequestError, SIZE_MAX, SignatureError, SignerKey, Tile, TilePathError, TreeHead, TrustedLog,
    UnverifiedCheckpoint, VerifierKey,
};

use crate::kit::{Log, ORIGIN, log_key, mutations, trusted};

fn checkpoint() -> String {
    Log::of(300).checkpoint().to_string()
}

fn parse(text: &str) -> Result<UnverifiedCheckpoint, ParseError> {
    UnverifiedCheckpoint::parse(text.as_bytes())
}

fn note_error(text: &str) -> NoteError {
    match parse(text) {
        Err(ParseError::Note(error)) => error,
        other => panic!("{other:?} for {text:?}"),
    }
}

fn checkpoint_error(text: &str) -> CheckpointError {
    match parse(text) {
        Err(ParseError::Checkpoint(error)) => error,
        other => panic!("{other:?} for {text:?}"),
    }
}

#[test]
fn each_fault_of_a_note_has_its_error() {
    let good = checkpoint();
    parse(&good).unwrap();
    let (text, line) = good.split_once("\n\n").unwrap();
    let (front, signature) = line.trim_end().rsplit_once(' ').unwrap();
    let id = log_key().verifier().id();
    let line_of = |signature: &str| format!("{text}\n\n{front} {signature}\n");
    let at = text.len();
    for (bad, error) in [
        (good.replace('\n', "\r\n"), NoteError::CarriageReturn { at: ORIGIN.len() }),
        (format!("{text}\t\n\n{line}"), NoteError::ControlCharacter { at }),
        (good.trim_end().to_owned(), NoteError::NoFinalNewline),
        (format!("{good}junk"), NoteError::NoFinalNewline),
        (format!("{good}junk\n"), NoteError::NotASignature { line: 2 }),
        (format!("{good}{line}"), NoteError::Duplicate { name: ORIGIN.to_owned(), id }),
        (format!("{good}\n"), NoteError::NoSignatures),
        (good.replace("\n\n", "\n"), NoteError::NoBlankLine),
        (good.replace('—', "-"), NoteError::NotASignature { line: 1 }),
        (good.replace("— ", "—  "), NoteError::KeyName { line: 1 }),
        (format!("{text}\n\n— a+b {signature}\n"), NoteError::KeyName { line: 1 }),
        (format!("{text}\n\n— a\u{2003}b {signature}\n"), NoteError::KeyName { line: 1 }),
        (
            line_of(signature.trim_end_matches('=')),
            NoteError::Base64 { line: 1, source: Base64Error::Malformed },
        ),
        (
            line_of(&format!("{signature} ")),
            NoteError::Base64 { line: 1, source: Base64Error::Malformed },
        ),
        (
            line_of("AAAAAAAAB===").replace("B===", "AAB="),
            NoteError::Base64 { line: 1, source: Base64Error::NotCanonical },
        ),
        (line_of("AAAAAA=="), NoteError::TooShort { line: 1 }),
        (line_of("AAAA"), NoteError::TooShort { line: 1 }),
    ] {
        assert_eq!(note_error(&bad), error, "{bad:?}");
    }
    let not_utf8 = UnverifiedCheckpoint::parse(b"\xff\n\n");
    assert_eq!(not_utf8, Err(ParseError::Note(NoteError::NotUtf8)));
    let long = "x".repeat(NOTE_BYTES_MAX + 1);
    assert_eq!(note_error(&long), NoteError::TooLong { bytes: NOTE_BYTES_MAX + 1 });
    let many: String = (0..100).map(|n| format!("— other{n} AAAAAAAA\n")).collect();
    assert_eq!(note_error(&format!("{good}{many}")), NoteError::TooManySignatures);
}

#[test]
fn each_fault_of_a_checkpoint_has_its_error() {
    let good = checkpoint();
    let root = Log::of(300).edge.head().root.to_string();
    let sized = |size: &str| good.replace("\n300\n", &format!("\n{size}\n"));
    let rooted = |other: &str| good.replace(&root, other);
    let size = CheckpointError::Size;
    let base64 = |error| CheckpointError::Root(HashError::Base64(error));
    let length = |bytes| CheckpointError::Root(HashError::Length { bytes });
    let not_canonical = root.replace(&root[42..], "B=");
    for (bad, error) in [
        (sized("0300"), size(DecimalError::LeadingZero)),
        (sized("00"), size(DecimalError::LeadingZero)),
        (sized("+300"), size(DecimalError::NotDigits)),
        (sized("-1"), size(DecimalError::NotDigits)),
        (sized("0x12c"), size(DecimalError::NotDigits)),
        (sized(" 300"), size(DecimalError::NotDigits)),
        (sized("9223372036854775808"), size(DecimalError::TooLarge)),
        (sized("18446744073709551616"), size(DecimalError::TooLarge)),
        (rooted(&not_canonical), base64(Base64Error::NotCanonical)),
        (rooted(&root[..43]), base64(Base64Error::Malformed)),
        (rooted(&root.replace('=', "-")), base64(Base64Error::Malformed)),
        (rooted("AAAA"), length(3)),
        (rooted(&root.replace('=', "A")), length(33)),
        (good.replace(&format!("{ORIGIN}\n"), "\n"), CheckpointError::Origin),
        (good.replace(&format!("{root}\n"), ""), CheckpointError::Lines),
        (good.replace(&root, &format!("{root}\n\next")), CheckpointError::Extension),
    ] {
        assert_eq!(checkpoint_error(&bad), error, "{bad:?}");
    }
    assert_eq!(parse(&sized(&SIZE_MAX.to_string())).unwrap().head().size, SIZE_MAX);
    let extended = format!("{ORIGIN}\n0\n{root}\nmore\n");
    assert_eq!(extended.parse::<Checkpoint>().unwrap().extensions(), ["more"]);
    assert_eq!(extended.parse::<Checkpoint>().unwrap().to_string(), extended);
    for origin in ["", "two\nlines", "tab\t"] {
        assert_eq!(Checkpoint::new(origin, TreeHead::EMPTY), Err(CheckpointError::Origin));
    }
}

#[test]
fn a_checkpoint_of_another_log_or_key_is_refused() {
    let text = checkpoint();
    let key = log_key().verifier().clone();
    let other = TrustedLog::new("other.example/log", vec![key]).unwrap();
    let expected = OpenError::Signature(SignatureError::Origin {
        expected: "other.example/log".to_owned(),
        actual: ORIGIN.to_owned(),
    });
    assert_eq!(other.open(text.as_bytes()), Err(expected));
    let foreign = SignerKey::new(ORIGIN, mesh_tlog::KeyKind::Log, &[9; 32]).unwrap();
    let stranger = TrustedLog::from_key(foreign.verifier().clone()).unwrap();
    assert_eq!(stranger.open(text.as_bytes()), Err(OpenError::Signature(SignatureError::Unsigned)));
    // Either key does while a log changes its key, and a false line by a known key is never passed over.
    let keys = vec![foreign.verifier().clone(), log_key().verifier().clone()];
    let both = TrustedLog::new(ORIGIN, keys).unwrap();
    both.open(text.as_bytes()).unwrap();
    let line =
        mesh_tlog::SignedCheckpoint::sign(Log::of(299).checkpoint().checkpoint().clone(), &foreign);
    let line = line.unwrap().to_string();
    let with_false = format!("{text}{}", line.split_once("\n\n").unwrap().1);
    trusted().open(with_false.as_bytes()).unwrap();
    let false_line = SignatureError::False { name: ORIGIN.to_owned(), id: foreign.verifier().id() };
    assert_eq!(both.open(with_false.as_bytes()), Err(OpenError::Signature(false_line)));
}

#[test]
fn each_fault_of_a_key_has_its_error() {
    let good = log_key().verifier().to_string();
    let expected = log_key().verifier().id();
    let (front, key) = good.rsplit_once("+A").unwrap();
    let small_order = VerifierKey::parse("x+00000000+AQEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    assert_eq!(small_order, Err(KeyError::Point));
    for (bad, error) in [
        (good.replace('+', "-"), KeyError::Form),
        (format!("+{good}"), KeyError::Name),
        (format!("a b{good}"), KeyError::Name),
        (good.replace(&expected.to_string(), "ABCDEF01"), KeyError::Id),
        (good.replace(&expected.to_string(), "123"), KeyError::Id),
        (good.replace(&expected.to_string(), "00000000"), KeyError::IdDiffers { expected }),
        (format!("{good}\n"), KeyError::Base64(Base64Error::Malformed)),
        (format!("{front}+Ag=="), KeyError::UnknownType(2)),
        (format!("{front}+"), KeyError::Length { bytes: 0 }),
        (format!("{front}+AQID"), KeyError::Length { bytes: 2 }),
    ] {
        assert_eq!(VerifierKey::parse(&bad), Err(error), "{bad:?}");
    }
    assert!(key.len() > 40);
    for bytes in mutations(good.as_bytes()) {
        let text = String::from_utf8_lossy(&bytes);
        assert!(VerifierKey::parse(&text).is_err(), "{text:?}");
    }
    let secret = log_key().secret();
    for bytes in mutations(secret.as_bytes()) {
        let text = String::from_utf8_lossy(&bytes);
        assert!(SignerKey::parse(&text).is_err(), "{text:?}");
    }
    assert!(!format!("{:?}", log_key()).contains(&secret[secret.len() - 20..]));
    assert_eq!(
        SignerKey::new("a b", mesh_tlog::KeyKind::Log, &[0; 32]).unwrap_err(),
        KeyError::Name
    );
}

#[test]
fn each_fault_of_a_tiles_path_has_its_error() {
    use TilePathError::{Index, OutOfRange, Prefix, Width};
    for good in [
        "tile/0/000",
        "tile/7/000.p/127",
        "tile/entries/999.p/255",
        "tile/0/x001/x234/067.p/1",
        "tile/entries/x001/000",
    ] {
        assert_eq!(good.parse::<Tile>().unwrap().to_string(), good);
    }
    for (bad, error) in [
        ("", Prefix),
        ("/tile/0/000", Prefix),
        ("tile/000", Prefix),
        ("tile/data/000", Prefix),
        ("tile/00/000", Prefix),
        ("tile/-1/000", Prefix),
        ("tile/256/000", Prefix),
        ("tile/0/", Index),
        ("tile/0/1", Index),
        ("tile/0/0001", Index),
        ("tile/0/+01", Index),
        ("tile/0/x001", Index),
        ("tile/0/001/234", Index),
        ("tile/0/x000/234", Index),
        ("tile/0/x001/x234", Index),
        ("tile/0//234", Index),
        ("tile/0/000/", Index),
        ("tile/0/000.p/0", Width),
        ("tile/0/000.p/256", Width),
        ("tile/0/000.p/01", Width),
        ("tile/0/000.p/", Width),
        ("tile/0/000.p/1/2", Width),
        ("tile/8/000", OutOfRange),
        ("tile/63/000", OutOfRange),
        ("tile/7/000.p/128", OutOfRange),
        ("tile/7/001", OutOfRange),
        ("tile/0/x999/x999/x999/x999/x999/x999/999", OutOfRange),
        ("tile/0/x999/x999/x999/x999/x999/x999/x999/x999/999", OutOfRange),
    ] {
        assert_eq!(bad.parse::<Tile>(), Err(error), "{bad}");
    }
}

#[test]
fn each_fault_of_a_proof_file_or_request_has_its_error() {
    let log = Log::of(300);
    let path = Prover::new(&log.files, log.edge.head()).inclusion(7).unwrap();
    let file = ProofFile { extra: None, index: 7, path, checkpoint: log.checkpoint().into() };
    let good = file.to_string();
    assert_eq!(ProofFile::parse(good.as_bytes()), Ok(file.clone()));
    let source = HashError::Base64(Base64Error::NotCanonical);
    let first = file.path[0].to_string();
    let spelled_otherwise = first.replace(&first[42..], "B=");
    let long = format!("{first}\n").repeat(64);
    for (bad, error) in [
        (good.replace("@v1", "@v2"), ProofFileError::FirstLine),
        (format!("\n{good}"), ProofFileError::FirstLine),
        (good.replace("index 7\n", ""), ProofFileError::NoIndex),
        (good.replace("index 7", "index  7"), ProofFileError::Index(DecimalError::NotDigits)),
        (good.replace("index 7", "index 07"), ProofFileError::Index(DecimalError::LeadingZero)),
        (
            good.replace("index 7", "index 9223372036854775808"),
            ProofFileError::Index(DecimalError::TooLarge),
        ),
        (
            good.replace("index 7", "extra !\nindex 7"),
            ProofFileError::Extra(Base64Error::Malformed),
        ),
        (good.replace("index 7", "extra AA==\nextra AA==\nindex 7"), ProofFileError::NoIndex),
        (good.replacen(&first, &spelled_otherwise, 1), ProofFileError::Hash { line: 1, source }),
        (good.replacen(&format!("{first}\n"), &long, 1), ProofFileError::PathTooLong),
        (good.replace("\n\n", "\n"), ProofFileError::NoBlankLine),
    ] {
        assert_eq!(ProofFile::parse(bad.as_bytes()), Err(error), "{bad:?}");
    }
    let crlf = good.replace('\n', "\r\n");
    assert_eq!(ProofFile::parse(crlf.as_bytes()), Err(ProofFileError::NoBlankLine));
    let request =
        AddCheckpoint { old_size: 0, proof: Vec::new(), checkpoint: log.checkpoint().into() };
    let good = request.to_string();
    for (bad, error) in [
        (good.replace("old 0", "old"), RequestError::NoOldSize),
        (good.replace("old 0", "Old 0"), RequestError::NoOldSize),
        (good.replace("old 0", "old 00"), RequestError::OldSize(DecimalError::LeadingZero)),
        (
            good.replace("old 0\n", "old 0\nAAAA\n"),
            RequestError::Hash { line: 1, source: HashError::Length { bytes: 3 } },
        ),
        (
            good.replace("\n300\n", "\n0300\n"),
            RequestError::Checkpoint(ParseError::Checkpoint(CheckpointError::Size(
                DecimalError::LeadingZero,
            ))),
        ),
    ] {
        assert_eq!(AddCheckpoint::parse(bad.as_bytes()), Err(error), "{bad:?}");
    }
}
