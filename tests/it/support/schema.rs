//! Findings against the schema that the program prints.

use serde_json::Value;

use super::World;

/// What of a finding is not what `trailhound schema` says.
pub fn against_the_schema(findings: &[Value]) -> Vec<String> {
    let world = World::new();
    let schema: Value = serde_json::from_str(&world.run(&["schema"]).expect(0).stdout).expect("JSON");
    let mut compiler = boon::Compiler::new();
    compiler.enable_format_assertions();
    compiler.add_resource("urn:finding", schema).expect("a schema");
    let mut schemas = boon::Schemas::new();
    let schema = compiler.compile("urn:finding", &mut schemas).expect("a schema of draft 2020-12");
    findings
        .iter()
        .filter_map(|finding| schemas.validate(finding, schema).err().map(|error| format!("{error:#}")))
        .collect()
}
