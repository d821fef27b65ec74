//! What people read: what happened, how often, and the verdict.

use std::{collections::BTreeMap, fmt, time::Instant};

use comfy_table::{Cell, Table, presets::NOTHING};
use mesh_fabric::fail_point::FailPoint;

use crate::{
    check::{Report, Verdict},
    history::{Action, History, Op, Outcome as Told},
    measure,
    run::Outcome,
    scenarios,
};

/// A line of progress, on stderr.
pub fn say(begun: Instant, what: impl fmt::Display) {
    eprintln!("{:7.1} s  {what}", begun.elapsed().as_secs_f32());
}

/// The whole report of a run.
pub fn of_run(outcome: &Outcome) -> String {
    let mut text = faults(outcome);
    text.push_str(&fail_points(outcome));
    text.push_str(&requests(&outcome.history));
    text.push_str(&figures(&outcome.history));
    text.push_str(&verdicts(&outcome.report, &outcome.history));
    for ended in &outcome.ended {
        text.push_str(&format!("noted: {ended}\n"));
    }
    for broken in &outcome.broken {
        text.push_str(&format!("BROKEN: {broken}\n"));
    }
    text
}

fn faults(outcome: &Outcome) -> String {
    let mut table = table(["scenario", "fired", ""]);
    for scenario in scenarios::ALL {
        let unfit = outcome.unfit.iter().find(|(id, _)| *id == scenario.id);
        let fired = match (outcome.fired.get(scenario.id), unfit) {
            (_, Some((_, why))) => format!("not run: {why}"),
            (Some(fired), None) => fired.to_string(),
            (None, None) => continue,
        };
        table.add_row([scenario.id, &fired, scenario.title].map(Cell::new));
    }
    let total: u32 = outcome.fired.values().sum();
    let mut text = format!("{table}\n{total} faults");
    if let Some(worst) = outcome.recoveries.iter().max() {
        text.push_str(&format!(
            "; after {} kills the orchestrator served again within {:.1} s",
            outcome.recoveries.len(),
            worst.as_secs_f32()
        ));
    }
    text + "\n\n"
}

/// At which of the named instants processes died. One that was never armed is named too: it was not tested.
fn fail_points(outcome: &Outcome) -> String {
    let mut table = table(["fail point", "armed", "died there"]);
    for point in FailPoint::ALL {
        let counts = outcome.points.get(point).copied().unwrap_or_default();
        let died = if counts.fired == 0 { "NEVER".into() } else { counts.fired.to_string() };
        table.add_row([point.name(), &counts.armed.to_string(), &died].map(Cell::new));
    }
    format!("{table}\n\n")
}

/// What clients asked and were told.
fn requests(history: &History) -> String {
    let mut counts: BTreeMap<(&str, String), u32> = BTreeMap::new();
    for op in &history.ops {
        *counts.entry((asked(op), told(op))).or_default() += 1;
    }
    let mut table = table(["request", "answer", "times"]);
    for ((asked, told), times) in counts {
        table.add_row([asked, &told, &times.to_string()].map(Cell::new));
    }
    format!("{table}\n\n")
}

const fn asked(op: &Op) -> &'static str {
    match &op.action {
        Action::Submit { .. } => "submit",
        Action::Cancel(_) => "cancel",
        Action::Retry(_) => "retry",
        Action::Look(_) => "look",
        Action::Node(..) => "node",
        Action::File { .. } => "file",
        Action::Head => "head",
    }
}

fn told(op: &Op) -> String {
    match op.done.as_ref().map(|done| &done.outcome) {
        Some(Told::Ok(_)) => "yes".into(),
        Some(Told::Fail(code)) => format!("no: {code}"),
        Some(Told::Unknown(_)) | None => "unknown".into(),
    }
}

/// What was measured.
pub fn figures(history: &History) -> String {
    let mut text = String::new();
    let mut requeues: Vec<u64> =
        measure::requeues(history).iter().map(|requeue| requeue.after_ms).collect();
    requeues.sort_unstable();
    let seconds = |ms: Option<&u64>| ms.map_or(0.0, |ms| *ms as f64 / 1e3);
    if !requeues.is_empty() {
        text.push_str(&format!(
            "{} attempts were lost with their node and given up {:.1} s after its death in the middle, \
             {:.1} s at worst\n",
            requeues.len(),
            seconds(requeues.get(requeues.len() / 2)),
            seconds(requeues.last()),
        ));
    }
    if let Some([rolling, other]) = measure::rolling(history) {
        let part = if other > 0.0 { 100.0 * rolling / other } else { 0.0 };
        text.push_str(&format!(
            "while every part was restarted {rolling:.1} tasks ended in a second, otherwise {other:.1} \
             ({part:.0} %)\n"
        ));
    }
    text + "\n"
}

/// One line for each invariant, then each breach with its events.
pub fn verdicts(report: &Report, history: &History) -> String {
    let mut table = table(["", "promise", "verdict"]);
    for (invariant, verdict) in &report.verdicts {
        let verdict = match verdict {
            Verdict::Holds(seen) => format!("holds ({seen} looked at)"),
            Verdict::NotApplicable(why) => format!("not applicable: {why}"),
            Verdict::Broken(breaches) => format!("BROKEN, {} shown below", breaches.len()),
        };
        table.add_row([invariant.as_str(), invariant.claim(), &verdict].map(Cell::new));
    }
    let bytes: u64 = history.manifests.iter().map(|manifest| manifest.verified_bytes).sum();
    let mut text = format!(
        "{table}\nread: {} jobs, {} tasks with rows, {} attempts, {} events, {} manifests \
         ({:.1} MiB hashed), {} journals\n\n",
        history.jobs.len(),
        history.tasks.len(),
        history.attempts.len(),
        history.events.len(),
        history.manifests.len(),
        bytes as f64 / f64::from(1 << 20),
        history.journals.len(),
    );
    for breach in report.breaches() {
        text.push_str(&format!("{}: {}\n", breach.invariant, breach.what));
        for line in &breach.slice {
            text.push_str(&format!("  {line}\n"));
        }
        text.push('\n');
    }
    text
}

fn table<const N: usize>(head: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(head);
    table
}
