//! Who became whom: credentials, and those that were made with them.
//!
//! Owns: finding the relatives of access keys, both ways, and putting them in the order of a tree.
//! Invariant: a key stands in the tree once, whatever the log claims, so walks end; `MOST` bounds all of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use datafusion::prelude::SessionContext;

use super::rows::{Rows, ask, batch, register};
use super::subject::list;
use crate::error::Result;
use crate::page::Leaf;
use crate::session::short;

/// Keys that a tree has at most.
const MOST: usize = 400;

/// Steps up and down that are followed.
const LEVELS: usize = 16;

/// How a credential came to be, by the call that made it: a session, or an access key made for a user.
const BIRTHS: &str = "
  SELECT session_id, parent_id, coalesce(actor_role, made_with) AS role, made_at, made_with, made_by, made_from, chain
  FROM public.session_origins
  UNION ALL
  SELECT * FROM public.made_keys";

/// Access keys that were made for users. Few calls of many events: looked for once, and not on every step through a tree.
const MADE_KEYS: &str = "
  SELECT json_get_str(responseelements, 'accessKey', 'accessKeyId') AS session_id, useridentity.accesskeyid AS parent_id,
         concat('access key of user ', json_get_str(responseelements, 'accessKey', 'userName')) AS role, eventtime AS made_at,
         eventname AS made_with, actor AS made_by, sourceipaddress AS made_from, CAST(NULL AS TEXT) AS chain
  FROM public.events
  WHERE eventname = 'CreateAccessKey' AND eventsource = 'iam.amazonaws.com' AND outcome = 'success'";

/// What was done with a key.
const USES: &str = "
  SELECT useridentity.accesskeyid AS key, count(*) AS events, count(*) FILTER (WHERE outcome = 'denied') AS denied,
         min(eventtime) AS first, max(eventtime) AS last, min(actor) AS actor,
         array_to_string(array_sort(array_agg(DISTINCT sourceipaddress)), ' ') AS addresses,
         array_to_string(array_sort(array_agg(DISTINCT agent_family(useragent))), ' ') AS agents
  FROM public.events";

#[derive(Debug, Clone, Default)]
struct Node {
    parent: Option<String>,
    role: Option<String>,
    made_at: Option<String>,
    made_with: Option<String>,
    made_by: Option<String>,
    made_from: Option<String>,
    events: i64,
    denied: i64,
    first: Option<String>,
    last: Option<String>,
    actor: Option<String>,
    addresses: Option<String>,
    agents: Option<String>,
}

/// Puts the access keys that were made beside the sessions: [`tree`] and [`with_descendants`] read them there.
pub(super) async fn prepare(ctx: &SessionContext) -> Result<()> {
    register(ctx, "made_keys", batch(ctx, MADE_KEYS, Vec::new()).await?)
}

async fn births(ctx: &SessionContext, column: &str, keys: &[String]) -> Result<Rows> {
    let (placeholders, values) = list("key", keys);
    let sql = format!(
        "SELECT * FROM ({BIRTHS}) WHERE {column} IN ({placeholders}) ORDER BY made_at, session_id LIMIT {MOST}"
    );
    ask(ctx, &sql, values).await
}

/// Keys with all that were made with them, directly or not.
pub(super) async fn with_descendants(ctx: &SessionContext, keys: &[String]) -> Result<Vec<String>> {
    let mut nodes = BTreeMap::new();
    keys.iter().for_each(|key| _ = nodes.insert(key.clone(), Node::default()));
    grow(ctx, &mut nodes, "parent_id").await?;
    Ok(nodes.into_keys().collect())
}

/// Adds parents (`session_id`) or children (`parent_id`) until there are no more.
async fn grow(ctx: &SessionContext, nodes: &mut BTreeMap<String, Node>, column: &str) -> Result<()> {
    let mut asked = BTreeSet::new();
    for _ in 0..LEVELS {
        let edge: Vec<String> = nodes.keys().filter(|key| !asked.contains(*key)).cloned().collect();
        if edge.is_empty() || nodes.len() >= MOST {
            break;
        }
        let found = births(ctx, column, &edge).await?;
        asked.extend(edge);
        for row in 0..found.rows.len() {
            let Some(key) = found.text(row, 0).map(str::to_owned) else { continue };
            let node = born(&found, row);
            if column == "session_id"
                && let Some(parent) = &node.parent
            {
                nodes.entry(parent.clone()).or_default();
            }
            nodes.entry(key).and_modify(|known| known.take_birth(&node)).or_insert(node);
        }
    }
    Ok(())
}

impl Node {
    fn take_birth(&mut self, other: &Self) {
        if self.made_at.is_none() {
            *self = other.clone();
        }
    }
}

fn born(rows: &Rows, row: usize) -> Node {
    let text = |column| rows.text(row, column).map(str::to_owned);
    Node {
        parent: text(1),
        role: text(2),
        made_at: text(3),
        made_with: text(4),
        made_by: text(5),
        made_from: text(6),
        ..Node::default()
    }
}

/// The tree of the keys of a scope: their beginnings, themselves and what was made with them.
pub(super) async fn tree(ctx: &SessionContext, keys: &[String]) -> Result<(Rows, Vec<Leaf>)> {
    let mut nodes = BTreeMap::new();
    keys.iter().for_each(|key| _ = nodes.insert(key.clone(), Node::default()));
    grow(ctx, &mut nodes, "session_id").await?;
    let ancestors: BTreeSet<String> = nodes.keys().filter(|key| !keys.contains(key)).cloned().collect();
    // what else was made from the beginning is another story
    let mut below = BTreeMap::new();
    keys.iter().for_each(|key| _ = below.insert(key.clone(), nodes.get(key).cloned().unwrap_or_default()));
    grow(ctx, &mut below, "parent_id").await?;
    for (key, node) in below {
        nodes.entry(key).and_modify(|known| known.take_birth(&node)).or_insert(node);
    }
    add_uses(ctx, &mut nodes).await?;
    Ok(laid_out(&nodes, keys, &ancestors))
}

async fn add_uses(ctx: &SessionContext, nodes: &mut BTreeMap<String, Node>) -> Result<()> {
    let keys: Vec<String> = nodes.keys().cloned().collect();
    if keys.is_empty() {
        return Ok(());
    }
    let (placeholders, values) = list("key", &keys);
    let uses =
        ask(ctx, &format!("{USES} WHERE useridentity.accesskeyid IN ({placeholders}) GROUP BY 1 ORDER BY 1"), values)
            .await?;
    for row in 0..uses.rows.len() {
        let Some(node) = uses.text(row, 0).and_then(|key| nodes.get_mut(key)) else { continue };
        let text = |column| uses.text(row, column).map(str::to_owned);
        (node.events, node.denied) = (uses.number(row, 1), uses.number(row, 2));
        (node.first, node.last, node.actor) = (text(3), text(4), text(5));
        (node.addresses, node.agents) = (text(6), text(7));
    }
    Ok(())
}

/// Depth first, the older child first; a beginning that is no key stands as a line of its own.
fn laid_out(nodes: &BTreeMap<String, Node>, subjects: &[String], ancestors: &BTreeSet<String>) -> (Rows, Vec<Leaf>) {
    let mut children: HashMap<Option<&str>, Vec<&str>> = HashMap::new();
    for (key, node) in nodes {
        let parent = node.parent.as_deref().filter(|parent| nodes.contains_key(*parent) && *parent != key);
        children.entry(parent).or_default().push(key);
    }
    let age = |key: &&str| {
        let node = &nodes[*key];
        (node.made_at.clone().or_else(|| node.first.clone()), (*key).to_owned())
    };
    children.values_mut().for_each(|keys| keys.sort_by_key(age));
    let mut layout = Layout { rows: Vec::new(), leaves: Vec::new(), placed: BTreeSet::new() };
    let roots = children.get(&None).cloned().unwrap_or_default();
    // in a circle nobody is a root: then everybody may be
    let all = roots.into_iter().chain(nodes.keys().map(String::as_str));
    for root in all.collect::<Vec<_>>() {
        let mut open = vec![(root, 0)];
        while let Some((key, depth)) = open.pop() {
            if !layout.placed.insert(key) {
                continue;
            }
            let relation = match (subjects.iter().any(|subject| subject == key), ancestors.contains(key)) {
                (true, _) => "subject",
                (false, true) => "before",
                (false, false) => "after",
            };
            layout.place(key, &nodes[key], depth, relation);
            open.extend(children.get(&Some(key)).into_iter().flatten().rev().map(|child| (*child, depth + 1)));
        }
    }
    let names = [
        "depth",
        "relation",
        "session",
        "role",
        "made_at",
        "made_with",
        "made_by",
        "made_from",
        "first_use",
        "last_use",
        "events",
        "denied",
        "addresses",
        "agents",
    ];
    let columns =
        names.iter().map(|name| ((*name).to_owned(), matches!(*name, "depth" | "events" | "denied"))).collect();
    (Rows { columns, rows: layout.rows }, layout.leaves)
}

struct Layout<'n> {
    rows: Vec<Vec<Option<String>>>,
    leaves: Vec<Leaf>,
    placed: BTreeSet<&'n str>,
}

impl Layout<'_> {
    fn place(&mut self, key: &str, node: &Node, depth: usize, relation: &str) {
        let count = |number: i64| Some(number.to_string());
        self.rows.push(vec![
            count(i64::try_from(depth).unwrap_or(i64::MAX)),
            Some(relation.to_owned()),
            Some(key.to_owned()),
            node.role.clone().or_else(|| node.actor.clone()),
            node.made_at.clone(),
            node.made_with.clone(),
            node.made_by.clone(),
            node.made_from.clone(),
            node.first.clone(),
            node.last.clone(),
            count(node.events),
            count(node.denied),
            node.addresses.clone(),
            node.agents.clone(),
        ]);
        self.leaves.push(Leaf { depth, title: title(key, node), detail: detail(node), marked: relation == "subject" });
    }
}

fn title(key: &str, node: &Node) -> String {
    let who = node.role.as_deref().or(node.actor.as_deref()).unwrap_or("not seen in use");
    format!("{} · {key}", short(who))
}

fn detail(node: &Node) -> String {
    let mut parts = Vec::new();
    if let (Some(with), Some(at)) = (&node.made_with, &node.made_at) {
        let by = node.made_by.as_deref().map(short).unwrap_or("?");
        let from = node.made_from.as_deref().map(|from| format!(" from {from}")).unwrap_or_default();
        parts.push(format!("{with} by {by} at {at}{from}"));
    }
    parts.push(match (&node.first, &node.last) {
        (Some(first), Some(last)) => format!("{} events, {} denied, {first} to {last}", node.events, node.denied),
        _ => "not used".to_owned(),
    });
    parts.extend(node.addresses.iter().map(|addresses| format!("at {addresses}")));
    parts.join(" · ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(parent: Option<&str>, made_at: &str) -> Node {
        Node { parent: parent.map(str::to_owned), made_at: Some(made_at.to_owned()), ..Node::default() }
    }

    fn keys(nodes: &[(&str, Node)], subjects: &[&str]) -> Vec<(String, String)> {
        let nodes = nodes.iter().map(|(key, node)| ((*key).to_owned(), node.clone())).collect();
        let subjects: Vec<String> = subjects.iter().map(|key| (*key).to_owned()).collect();
        let (rows, leaves) = laid_out(&nodes, &subjects, &BTreeSet::from(["A".to_owned()]));
        assert_eq!(rows.rows.len(), leaves.len());
        rows.rows
            .iter()
            .map(|row| (row[0].clone().unwrap() + " " + row[2].as_deref().unwrap(), row[1].clone().unwrap()))
            .collect()
    }

    #[test]
    fn children_stand_below_their_parents_the_older_first() {
        let nodes = [
            ("A", node(None, "1")),
            ("B", node(Some("A"), "3")),
            ("C", node(Some("A"), "2")),
            ("D", node(Some("B"), "4")),
        ];
        let told = keys(&nodes, &["B"]);
        let told: Vec<_> = told.iter().map(|(key, relation)| (key.as_str(), relation.as_str())).collect();
        assert_eq!(told, [("0 A", "before"), ("1 C", "after"), ("1 B", "subject"), ("2 D", "after")]);
    }

    #[test]
    fn circles_are_laid_out_once() {
        let nodes = [("A", node(Some("B"), "1")), ("B", node(Some("A"), "2")), ("C", node(Some("C"), "3"))];
        assert_eq!(keys(&nodes, &["A"]).len(), 3);
    }
}
