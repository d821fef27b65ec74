//! Audit lines, from the orchestrator's log.

use std::path::Path;

use anyhow::Context as _;

use crate::history::AuditLine;

/// All of them; none when there is no log.
pub(super) fn read(data: &Path) -> anyhow::Result<Option<Vec<AuditLine>>> {
    let mut lines = None;
    for entry in std::fs::read_dir(data)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("orchestrator") && name.ends_with(".log") {
            let text = std::fs::read(&path).with_context(|| path.display().to_string())?;
            let text = String::from_utf8_lossy(&text);
            lines.get_or_insert_with(Vec::new).extend(text.lines().filter_map(line));
        }
    }
    Ok(lines)
}

fn line(text: &str) -> Option<AuditLine> {
    let (_, fields) = text.split_once("mesh_audit")?;
    let field = |name: &str| {
        let (_, rest) = fields.split_once(&format!(" {name}="))?;
        let value = rest.split_whitespace().next()?;
        Some(value.trim_matches('"').to_owned())
    };
    Some(AuditLine { act: field("act")?, subject: field("subject")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_the_act_and_its_subject() {
        let text = "2026-01-01T00:00:00Z  INFO mesh_audit: cancel job_1 act=\"cancel\" \
                    token.id=token_2 subject=job_1";
        let expected = AuditLine { act: "cancel".into(), subject: "job_1".into() };
        assert_eq!(line(text), Some(expected));
        assert_eq!(line("INFO mesh: cancel"), None);
    }
}
