//! What the configuration takes and refuses.

use super::*;

const GOOD: &str = r#"
listen = "127.0.0.1:7700"
database = "sqlite:///var/lib/mesh/mesh.db"
[nats]
urls = ["nats://127.0.0.1:4222"]
creds_file = "o.creds"
system_creds_file = "s.creds"
keys_file = "keys.json"
[objects]
endpoint = "http://127.0.0.1:8333"
bucket = "deskmesh"
credentials_file = "store.json"
"#;

fn read(text: &str) -> Result<Config, Problem> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("orchestrator.toml");
    std::fs::write(&file, text).unwrap();
    Config::load(Some(&file))
}

fn refused(from: &str, to: &str) -> (ErrorCode, String) {
    let text = GOOD.replace(from, to);
    assert_ne!(text, GOOD, "nothing was replaced: {from}");
    let problem = read(&text).unwrap_err();
    (problem.code, problem.field.unwrap_or_default())
}

#[test]
fn the_smallest_configuration_has_the_cores_defaults() {
    let config = read(GOOD).unwrap();
    assert_eq!(config.core().lease_ttl, mesh_core::Config::default().lease_ttl);
    assert_eq!(config.nats_public_urls(), ["nats://127.0.0.1:4222"]);
    assert_eq!(config.sqlite_dir(), Some("/var/lib/mesh".into()));
    assert_eq!(config.objects.region, "us-east-1");
}

#[test]
fn timing_is_taken_within_its_bounds_alone() {
    let timing = |line: &str| read(&format!("{GOOD}[timing]\n{line}\n"));
    let fast =
        timing("lease_ttl = \"3s\"\nbeat_every = \"500ms\"\nsuspect_after = \"1s\"").unwrap();
    assert_eq!(fast.core().beat_every, Duration::from_millis(500));
    for (line, key) in [
        ("lease_ttl = \"0s\"", "timing.lease_ttl"),
        ("lease_ttl = \"1h\"", "timing.lease_ttl"),
        ("beat_every = \"20s\"", "timing.beat_every"),
        ("suspect_after = \"1s\"", "timing.suspect_after"),
        ("startup_grace = \"2h\"", "timing.startup_grace"),
        ("prefetch_time = \"2s\"", "timing.prefetch_time"),
        ("lead_ttl = \"1s\"", "timing.lead_ttl"),
        ("lead_ttl = \"61s\"", "timing.lead_ttl"),
    ] {
        let problem = timing(line).unwrap_err();
        assert_eq!(
            (problem.code, problem.field.as_deref()),
            (ErrorCode::Config, Some(key)),
            "{line}"
        );
    }
    assert_eq!(timing("lease_ttl = 30").unwrap_err().code, ErrorCode::Config);
    assert_eq!(timing("lease = \"30s\"").unwrap_err().code, ErrorCode::Config);
}

#[test]
fn a_listener_beyond_loopback_needs_tls_and_metrics_never_leave_loopback() {
    let wide = "listen = \"0.0.0.0:7700\"";
    assert_eq!(
        refused("listen = \"127.0.0.1:7700\"", wide),
        (ErrorCode::InsecureBind, "listen".into())
    );
    let tls = format!(
        "{}[tls]\ncert_file = \"c\"\nkey_file = \"k\"\n",
        GOOD.replace("127.0.0.1:7700", "[::]:7700")
    );
    assert!(read(&tls).is_ok());
    let metrics = format!("metrics_listen = \"0.0.0.0:1\"\n{GOOD}");
    assert_eq!(read(&metrics).unwrap_err().code, ErrorCode::InsecureBind);
}

#[test]
fn urls_name_a_host_and_no_password_and_a_password_is_never_repeated() {
    let config = |key: &str| (ErrorCode::Config, key.to_owned());
    assert_eq!(refused("http://127.0.0.1:8333", "127.0.0.1:8333"), config("objects.endpoint"));
    assert_eq!(refused("\"nats://127.0.0.1:4222\"", ""), config("nats.urls"));
    assert_eq!(refused("nats://127.0.0.1:4222", "nats://"), config("nats.urls"));
    assert_eq!(refused("sqlite:///var/lib/mesh/mesh.db", "mysql://h/d"), config("database"));
    assert_eq!(refused("sqlite:///var/lib/mesh/mesh.db", "sqlite:mesh.db"), config("database"));
    assert_eq!(refused("bucket = \"deskmesh\"", "bucket = \"\""), config("objects.bucket"));
    let listen = "listen = \"127.0.0.1:7700\"";
    let public = format!("{listen}\npublic_url = \"mesh.lan:7700\"");
    assert_eq!(refused(listen, &public), config("public_url"));

    let text = GOOD.replace("sqlite:///var/lib/mesh/mesh.db", "postgres://u:hunter2@h/d");
    let problem = read(&text).unwrap_err();
    assert_eq!((problem.code, problem.field.as_deref()), (ErrorCode::Config, Some("database")));
    assert!(!problem.to_string().contains("hunter2"));
}
