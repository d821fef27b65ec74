//! A Markdown list: each item is an idea, and an item below another derives from it.

use mesh_schemas::Problem;

use super::{Draft, Imported, escape::unescaped, unix_lines};

/// Deepest nesting of items.
const DEPTH_MAX: usize = 64;

/// An item that is still being read.
struct Open {
    /// The column of its mark.
    indent: usize,
    line: usize,
    parent: Option<usize>,
    lines: Vec<String>,
}

/// Reads the items of all lists. Lines that are indented below an item belong to it; a box like `[ ]`
/// is dropped, and so is a backslash that keeps the beginning of a line from being a mark. Headings and other text
/// between lists are skipped and named.
///
/// # Errors
/// The first item that breaks a rule, or that there is none, naming the line.
pub fn from_markdown(text: &str) -> Result<Imported, Problem> {
    let mut reader =
        Reader { imported: Imported::default(), above: Vec::new(), open: None, fence: false };
    for (place, line) in unix_lines(text).lines().enumerate() {
        reader.line(place + 1, line)?;
    }
    reader.close()?;
    if reader.imported.drafts.is_empty() {
        return Err(Problem::invalid("line 1", "line 1: the file has no list item"));
    }
    Ok(reader.imported)
}

struct Reader {
    imported: Imported,
    /// Indents and places of the items above the one that is open.
    above: Vec<(usize, usize)>,
    open: Option<Open>,
    /// Within a fence of code: marks of lists mean nothing.
    fence: bool,
}

impl Reader {
    fn line(&mut self, number: usize, line: &str) -> Result<(), Problem> {
        let indent = indent(line);
        let rest = line.trim();
        let was_fence = self.fence;
        if is_fence(rest) {
            self.fence = !self.fence;
        }
        if rest.is_empty() {
            if let Some(open) = &mut self.open {
                open.lines.push(String::new());
            }
            return Ok(());
        }
        match item(rest).filter(|_| !was_fence) {
            Some(item) => self.begin(number, indent, item),
            None => self.more(number, indent, line),
        }
    }

    fn begin(&mut self, number: usize, indent: usize, item: &str) -> Result<(), Problem> {
        self.close()?;
        while self.above.last().is_some_and(|(above, _)| *above >= indent) {
            self.above.pop();
        }
        let field = format!("line {number}");
        if self.above.len() == DEPTH_MAX {
            let detail = format!("{field}: nested deeper than {DEPTH_MAX} items");
            return Err(Problem::new(mesh_schemas::ErrorCode::TooDeep, detail).at(field));
        }
        if item.is_empty() {
            return Err(Problem::invalid(&field, format!("{field}: the item is empty")));
        }
        let parent = self.above.last().map(|(_, place)| *place);
        self.fence = is_fence(item);
        self.open = Some(Open { indent, line: number, parent, lines: vec![unescaped(item)] });
        Ok(())
    }

    fn more(&mut self, number: usize, indent: usize, line: &str) -> Result<(), Problem> {
        let inside = self.open.as_ref().is_some_and(|open| indent > open.indent);
        if !inside {
            self.close()?;
            self.above.clear();
            self.imported.skipped.push(number);
        }
        if let Some(open) = &mut self.open {
            let line = without_indent(line, open.indent + 2).trim_end();
            open.lines.push(if self.fence { line.to_owned() } else { unescaped(line) });
        }
        Ok(())
    }

    /// The item that was open is whole.
    fn close(&mut self) -> Result<(), Problem> {
        let Some(Open { indent, line, parent, lines }) = self.open.take() else { return Ok(()) };
        let text = lines.join("\n").trim().to_owned();
        self.above.push((indent, self.imported.drafts.len()));
        self.imported.push(&format!("line {line}"), Draft { text, parent, ..Draft::default() })
    }
}

/// Columns of white space at the beginning; a tab goes to the next multiple of 4.
fn indent(line: &str) -> usize {
    let mut columns = 0;
    for c in line.chars() {
        match c {
            ' ' => columns += 1,
            '\t' => columns += 4 - columns % 4,
            _ => break,
        }
    }
    columns
}

fn without_indent(line: &str, most: usize) -> &str {
    let blanks = line.bytes().take_while(|b| *b == b' ').count();
    &line[blanks.min(most)..]
}

/// Code begins or ends.
pub(super) fn is_fence(line: &str) -> bool {
    line.starts_with("```") || line.starts_with("~~~")
}

/// What follows the mark of an item.
pub(super) fn item(line: &str) -> Option<&str> {
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let rest = match digits {
        0 => line.strip_prefix(['-', '*', '+'])?,
        1..=9 => line[digits..].strip_prefix(['.', ')'])?,
        _ => return None,
    };
    if !(rest.is_empty() || rest.starts_with([' ', '\t'])) {
        return None;
    }
    let rest = rest.trim();
    let boxed = ["[ ]", "[x]", "[X]"].iter().find_map(|mark| rest.strip_prefix(mark));
    // `* * *` and `- - -` are rules across the page.
    let rule = rest.len() > 1 && rest.chars().all(|c| matches!(c, '-' | '*' | ' '));
    (!rule).then(|| boxed.unwrap_or(rest).trim())
}
