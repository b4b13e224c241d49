//! Figures of a page, as SVG.
//!
//! Invariant: a figure's size is bounded whatever it shows; each has a title and a description, and each of its parts
//! says on its own what it is.

use super::Markup;

/// A step of time with its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// When.
    pub label: String,
    /// Events that succeeded, were denied, failed otherwise.
    pub counts: [u64; 3],
    /// What was remarkable then.
    pub mark: Option<String>,
}

/// A line of a tree: deeper ones belong to the nearest one above that is less deep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// 0 at the root.
    pub depth: usize,
    /// First line.
    pub title: String,
    /// Second line.
    pub detail: String,
    /// Whether it is what the page is about.
    pub marked: bool,
}

const WIDTH: u64 = 1200;

/// Lines of a tree, and rows and columns of a heat map, that are drawn. The table beside them has the rest.
const LEAVES: usize = 80;
const HEAT_ROWS: usize = 30;
const HEAT_COLUMNS: usize = 168;

fn open(id: &str, height: u64, title: &str, description: &str) -> Markup {
    let mut svg = Markup::default();
    svg.push_fmt(format_args!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\" aria-labelledby=\"{id}-t {id}-d\"><title id=\"{id}-t\">"
    ));
    svg.push_text(title);
    svg.push_fmt(format_args!("</title><desc id=\"{id}-d\">"));
    svg.push_text(description);
    svg.push_raw("</desc>\n");
    svg
}

fn text(svg: &mut Markup, x: u64, y: u64, class: &str, text: &str) {
    svg.push_fmt(format_args!("<text x=\"{x}\" y=\"{y}\" class=\"{class}\">"));
    svg.push_text(text);
    svg.push_raw("</text>\n");
}

/// The beginning of a text that is too long to be drawn.
fn cut(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Events over time, stacked by outcome; marks above. `id` is of the source, not of a log.
pub fn bars(id: &str, buckets: &[Bucket]) -> Markup {
    const TOP: u64 = 40;
    const TALL: u64 = 160;
    let total = |bucket: &Bucket| bucket.counts.iter().sum::<u64>();
    let most = buckets.iter().map(total).max().unwrap_or_default().max(1);
    let all: u64 = buckets.iter().map(total).sum();
    let marks = buckets.iter().filter(|bucket| bucket.mark.is_some()).count();
    let description = format!(
        "{all} events in {} steps, at most {most} in one; {marks} steps have something remarkable.",
        buckets.len()
    );
    let mut svg = open(id, TOP + TALL + 50, "Events over time", &description);
    let step = (WIDTH / (buckets.len().max(1) as u64)).clamp(1, 60);
    for (index, bucket) in buckets.iter().enumerate() {
        let x = index as u64 * step;
        svg.push_raw("<g><title>");
        let [success, denied, failed] = bucket.counts;
        svg.push_text(&format!("{}: {success} succeeded, {denied} denied, {failed} failed otherwise", bucket.label));
        bucket.mark.iter().for_each(|mark| svg.push_text(&format!("; {mark}")));
        svg.push_raw("</title>");
        let mut y = TOP + TALL;
        for (count, class) in bucket.counts.iter().zip(["good", "bad", "other"]) {
            // anything that happened is seen
            let height = (count * TALL / most).max(u64::from(*count > 0) * 2).min(y);
            y -= height;
            let width = step.saturating_sub(1).max(1);
            svg.push_fmt(format_args!(
                "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"/>"
            ));
        }
        if bucket.mark.is_some() {
            let middle = x + step / 2;
            svg.push_fmt(format_args!("<path class=\"mark\" d=\"M{} 22 l5 10 h-10 z\"/>", middle.max(5)));
        }
        svg.push_raw("</g>\n");
    }
    let base = TOP + TALL;
    svg.push_fmt(format_args!("<path class=\"line\" d=\"M0 {base} H{WIDTH}\"/>\n"));
    if let (Some(first), Some(last)) = (buckets.first(), buckets.last()) {
        text(&mut svg, 0, base + 18, "soft", &first.label);
        let end = (buckets.len() as u64 * step).saturating_sub(130).max(180);
        if buckets.len() > 1 {
            text(&mut svg, end.min(WIDTH - 140), base + 18, "soft", &last.label);
        }
    }
    for (index, (class, word)) in
        [("good", "succeeded"), ("bad", "denied"), ("other", "failed otherwise"), ("mark", "remarkable")]
            .iter()
            .enumerate()
    {
        let x = index as u64 * 150;
        svg.push_fmt(format_args!(
            "<rect class=\"{class}\" x=\"{x}\" y=\"{}\" width=\"10\" height=\"10\"/>",
            base + 32
        ));
        text(&mut svg, x + 16, base + 42, "", word);
    }
    text(&mut svg, 0, 12, "soft", &format!("at most {most} events a step"));
    svg.push_raw("</svg>");
    svg
}

/// A tree, a box a line.
pub fn tree(id: &str, leaves: &[Leaf]) -> Markup {
    const ROW: u64 = 46;
    let drawn = &leaves[..leaves.len().min(LEAVES)];
    let deepest = leaves.iter().map(|leaf| leaf.depth).max().unwrap_or_default();
    let description = format!("{} entries, {} levels deep. The table below has all of it.", leaves.len(), deepest + 1);
    let mut svg = open(id, drawn.len() as u64 * ROW + 24, "Who became whom", &description);
    let left = |leaf: &Leaf| (leaf.depth.min(12) as u64) * 36;
    for (index, leaf) in drawn.iter().enumerate() {
        let (x, y) = (left(leaf), index as u64 * ROW);
        let parent = drawn[..index].iter().rposition(|above| above.depth < leaf.depth);
        if let Some(parent) = parent {
            let (from, bottom) = (left(&drawn[parent]) + 12, parent as u64 * ROW + 40);
            svg.push_fmt(format_args!("<path class=\"line\" d=\"M{from} {bottom} V{} H{x}\"/>\n", y + 20));
        }
        let class = if leaf.marked { "subject" } else { "box" };
        svg.push_raw("<g><title>");
        svg.push_text(&format!("{} — {}", leaf.title, leaf.detail));
        svg.push_fmt(format_args!(
            "</title><rect class=\"{class}\" x=\"{x}\" y=\"{}\" width=\"{}\" height=\"40\" rx=\"4\"/>\n",
            y + 1,
            WIDTH - x - 2
        ));
        let room = ((WIDTH - x - 20) / 7) as usize;
        text(&mut svg, x + 10, y + 17, "", &cut(&leaf.title, room));
        text(&mut svg, x + 10, y + 33, "soft", &cut(&leaf.detail, room));
        svg.push_raw("</g>\n");
    }
    if leaves.len() > drawn.len() {
        let y = drawn.len() as u64 * ROW + 16;
        text(&mut svg, 0, y, "soft", &format!("{} more are in the table", leaves.len() - drawn.len()));
    }
    svg.push_raw("</svg>");
    svg
}

/// How often what happened when: a row a name, a column a step of time.
pub fn heat(id: &str, rows: &[String], columns: &[String], counts: &[Vec<u64>]) -> Markup {
    const LABEL: u64 = 330;
    const ROW: u64 = 18;
    let most = counts.iter().flatten().copied().max().unwrap_or_default().max(1);
    let (shown, steps) = (rows.len().min(HEAT_ROWS), columns.len().min(HEAT_COLUMNS));
    let description = format!(
        "{} calls over {} steps of time, at most {most} in one. The table below has the numbers.",
        rows.len(),
        columns.len()
    );
    let mut svg = open(id, shown as u64 * ROW + 34, "Calls by time", &description);
    let step = ((WIDTH - LABEL) / (steps.max(1) as u64)).clamp(1, 40);
    for (index, name) in rows.iter().enumerate().take(shown) {
        let y = index as u64 * ROW;
        text(&mut svg, 0, y + 13, "", &cut(name, 46));
        for (column, label) in columns.iter().enumerate().take(steps) {
            let count = counts.get(index).and_then(|row| row.get(column)).copied().unwrap_or_default();
            if count == 0 {
                continue;
            }
            let x = LABEL + column as u64 * step;
            let width = step.saturating_sub(1).max(1);
            // by magnitude: one call is seen beside thousands
            let shade = 0.25 + 0.75 * ((count as f64).ln_1p() / (most as f64).ln_1p());
            svg.push_fmt(format_args!(
                "<rect class=\"good\" fill-opacity=\"{shade:.2}\" x=\"{x}\" y=\"{}\" width=\"{width}\" height=\"{}\"><title>",
                y + 1,
                ROW - 2
            ));
            svg.push_text(&format!("{name}, {label}: {count}"));
            svg.push_raw("</title></rect>");
        }
        svg.push_raw("\n");
    }
    let y = shown as u64 * ROW + 16;
    if let (Some(first), Some(last)) = (columns.first(), columns.get(steps.saturating_sub(1))) {
        text(&mut svg, LABEL, y, "soft", first);
        if steps > 1 {
            text(
                &mut svg,
                (LABEL + steps as u64 * step).saturating_sub(110).clamp(LABEL + 150, WIDTH - 130),
                y,
                "soft",
                last,
            );
        }
    }
    svg.push_raw("</svg>");
    svg
}
