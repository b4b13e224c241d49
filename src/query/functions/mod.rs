//! Every function that trailhound's SQL has beyond DataFusion's own.
//!
//! Owns: the one place where functions are registered, so that another machine can be given the same ones, and the
//! catalogue that the documentation is held against.
//! Refuses: rewriting SQL; what Trino has under another name or as syntax is in `dialect`.

mod aggregate;
mod collection;
mod context;
mod format;
pub(super) mod json;
mod map;
mod planner;
mod printf;
mod reduce;
mod tactic;
mod text;
mod time;
mod trunc;
mod udf;
mod version;
mod web;

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::logical_expr::{Documentation, HigherOrderUDF, ScalarUDF};
use datafusion::prelude::SessionContext;

use super::fault;
use crate::error::Result;
use crate::network::Networks;
use udf::{Function, Udf};
use version::VersionNumber;

/// Where a function's name and meaning come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Trino: what Athena and CloudTrail Lake run.
    Trino,
    /// GuardDuty's custom detection rules.
    GuardDuty,
    /// Ours.
    Trailhound,
    /// The crate datafusion-functions-json.
    Json,
    /// DataFusion.
    DataFusion,
}

impl Origin {
    /// The word in the documentation.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trino => "Trino",
            Self::GuardDuty => "GuardDuty",
            Self::Trailhound => "trailhound",
            Self::Json => "datafusion-functions-json",
            Self::DataFusion => "DataFusion",
        }
    }
}

/// A function of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Described {
    /// Its name, in lower case.
    pub name: String,
    /// Whose it is.
    pub origin: Origin,
    /// How it is called.
    pub syntax: String,
    /// What it does, in a sentence.
    pub about: String,
}

/// Adds all functions to a session (or to whatever else runs its plans). `networks` is what the user's files tell of
/// addresses.
///
/// # Errors
/// `Internal` where a function cannot be registered.
pub fn register(registry: &mut dyn FunctionRegistry, networks: &Arc<Networks>) -> Result<()> {
    context::register(registry, networks)?;
    tactic::register(registry)?;
    add(registry).map_err(|error| fault::of(&error))
}

fn add(registry: &mut dyn FunctionRegistry) -> datafusion::common::Result<()> {
    registry.register_udf(Arc::new(ScalarUDF::from(VersionNumber::default())))?;
    registry.register_udf(Arc::new(ScalarUDF::from(trunc::DateTrunc::default())))?;
    // json_get*, json_as_text, json_contains, json_length, json_object_keys and the operators -> ->> ? #> #>>
    datafusion_functions_json::register_all(registry)?;
    for function in ours() {
        registry.register_udf(Arc::new(ScalarUDF::from(Udf::new(function))))?;
    }
    registry.register_higher_order_function(Arc::new(HigherOrderUDF::new_from_impl(reduce::Reduce::default())))?;
    for function in map::lambdas() {
        registry.register_higher_order_function(Arc::new(function))?;
    }
    for function in aggregate::functions() {
        registry.register_udaf(Arc::new(function))?;
    }
    let json_cast = registry.udf("json_cast")?;
    registry.register_function_rewrite(Arc::new(planner::JsonCasts { json_cast }))?;
    Ok(())
}

/// Planners that must stand before DataFusion's own. Only who plans SQL needs them, not who runs plans.
pub fn planners() -> Vec<Arc<dyn ExprPlanner>> {
    vec![Arc::new(planner::Lenient { element_at: named("element_at") })]
}

/// A function of ours, for who makes calls of it.
pub(super) fn named(name: &'static str) -> Arc<ScalarUDF> {
    let function = ours().into_iter().find(|function| function.name == name);
    Arc::new(ScalarUDF::from(Udf::new(function.expect("a function of ours"))))
}

fn ours() -> Vec<Function> {
    [
        json::functions(),
        collection::functions(),
        map::functions(),
        printf::functions(),
        text::functions(),
        time::functions(),
        web::functions(),
    ]
    .concat()
}

/// Every function that a session's SQL has, by name, each once.
pub fn catalogue(ctx: &SessionContext) -> Vec<Described> {
    let mut all: BTreeMap<String, Described> = BTreeMap::new();
    let rewritten = super::dialect::described();
    for function in described().into_iter().chain(rewritten) {
        all.entry(function.name.clone()).or_insert(function);
    }
    let state = ctx.state();
    let scalar = state.scalar_functions().iter().map(|(name, function)| (name, function.documentation()));
    let aggregate = state.aggregate_functions().iter().map(|(name, function)| (name, function.documentation()));
    let window = state.window_functions().iter().map(|(name, function)| (name, function.documentation()));
    let lambda = state.higher_order_functions().iter().map(|(name, function)| (name, function.documentation()));
    for (name, documentation) in scalar.chain(aggregate).chain(window).chain(lambda) {
        all.entry(name.clone()).or_insert_with(|| builtin(name, documentation));
    }
    all.into_values().collect()
}

fn builtin(name: &str, documentation: Option<&Documentation>) -> Described {
    let origin = if name.starts_with("json_") { Origin::Json } else { Origin::DataFusion };
    let about = documentation.map(|words| words.description.trim().split(['\n']).next().unwrap_or_default().to_owned());
    let syntax = documentation.map(|words| words.syntax_example.lines().next().unwrap_or_default().trim().to_owned());
    // an alias is documented under the first name
    let syntax = syntax.filter(|syntax| syntax.starts_with(name)).unwrap_or_else(|| format!("{name}(…)"));
    Described { name: name.to_owned(), origin, syntax, about: about.unwrap_or_default() }
}

/// What is registered here, beside the functions of datafusion-functions-json.
pub fn described() -> Vec<Described> {
    let own = ours().into_iter().map(|function| Described {
        name: function.name.to_owned(),
        origin: function.origin,
        syntax: function.syntax.to_owned(),
        about: function.about.to_owned(),
    });
    let more = [
        (
            Origin::Trailhound,
            "version_number",
            "version_number(eventversion)",
            "CloudTrail's event version as a number that compares: 1.10 is newer than 1.9",
        ),
        (
            Origin::Trino,
            "reduce",
            "reduce(array, start, (state, x) -> …, state -> …)",
            "One value from all elements; the state keeps the type of the start",
        ),
        (
            Origin::Trailhound,
            "source_kind",
            "source_kind(address, vpcendpointid)",
            "What an address is: aws-service, aws-ip, private, vpce or internet",
        ),
        (Origin::Trailhound, "source_country", "source_country(address)", "Where the address's network is registered"),
        (Origin::Trailhound, "source_asn", "source_asn(address)", "The address's AS number, from --asn-db"),
        (Origin::Trailhound, "source_org", "source_org(address)", "The organization of the AS, from --asn-db"),
        (
            Origin::Trailhound,
            "source_list",
            "source_list(address)",
            "The list that the address is on: threat (--threat-list) or tor (--tor-list)",
        ),
        (
            Origin::Trailhound,
            "agent_family",
            "agent_family(useragent)",
            "The program behind a user agent: aws-cli, boto3, terraform …",
        ),
        (
            Origin::Trailhound,
            "api_tactic",
            "api_tactic(eventsource, eventname)",
            "What an attacker would make a call for: Discovery, Persistence, DefenseEvasion …",
        ),
        (
            Origin::Trailhound,
            "api_stake",
            "api_stake(eventsource, eventname)",
            "How much is at stake: 1 reads, 2 changes, 3 what attackers come for",
        ),
    ];
    let more = more.map(|(origin, name, syntax, about)| Described {
        name: name.into(),
        origin,
        syntax: syntax.into(),
        about: about.into(),
    });
    let maps = map::LAMBDAS.into_iter().chain(aggregate::AGGREGATES).map(|(name, syntax, about)| Described {
        name: name.into(),
        origin: Origin::Trino,
        syntax: syntax.into(),
        about: about.into(),
    });
    own.chain(more).chain(maps).collect()
}
