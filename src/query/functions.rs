//! Every function that trailhound's SQL has beyond DataFusion's own.
//!
//! Owns: the one place where functions are registered, so that another machine can be given the same ones.

mod context;

use std::sync::Arc;

use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::ScalarUDF;

use super::fault;
use super::version::VersionNumber;
use crate::error::Result;
use crate::network::Networks;

/// Adds all functions to a session (or to whatever else runs its plans). `networks` is what the user's files tell of
/// addresses.
///
/// # Errors
/// `Internal` where a function cannot be registered.
pub fn register(registry: &mut dyn FunctionRegistry, networks: &Arc<Networks>) -> Result<()> {
    context::register(registry, networks)?;
    registry.register_udf(Arc::new(ScalarUDF::from(VersionNumber::default()))).map_err(|error| fault::of(&error))?;
    // json_get*, json_as_text, json_contains, json_length, json_object_keys and the operators -> ->> ? #> #>>
    datafusion_functions_json::register_all(registry).map_err(|error| fault::of(&error))
}
