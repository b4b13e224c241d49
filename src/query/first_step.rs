//! Another way to do the first of the two steps of a grouping (the second joins what the threads found).
//!
//! Owns: the plan node and the optimizer's rule that put a [`Step`] in the place of DataFusion's own.
//! Invariant: what comes out is what DataFusion's own first step hands to its second.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use datafusion::common::Result as DfResult;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, InputOrderMode, PlanProperties,
    ReplaceChildrenOptions, SendableRecordBatchStream,
};

/// A way to do it.
pub(super) trait Step: fmt::Debug + Send + Sync + Sized + 'static {
    /// Its name in a plan.
    const NAME: &'static str;

    /// The step in the place of an aggregation, where it can be. `aggregate` is a first step, by columns or expressions of
    /// one set, of which all groups are asked and no order is known.
    fn of(aggregate: &AggregateExec) -> Option<Self>;

    /// The groups of a partition.
    ///
    /// # Errors
    /// As [`ExecutionPlan::execute`].
    fn execute(
        &self,
        aggregate: &AggregateExec,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> DfResult<SendableRecordBatchStream>;

    /// What was counted meanwhile.
    fn metrics(&self) -> Option<MetricsSet> {
        None
    }
}

/// The rule that puts a step in the place of DataFusion's own wherever it can be.
#[derive(Debug)]
pub(super) struct Replace<S>(PhantomData<S>);

impl<S> Default for Replace<S> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<S: Step> PhysicalOptimizerRule for Replace<S> {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _config: &ConfigOptions) -> DfResult<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| Ok(replaced::<S>(node))).data()
    }

    fn name(&self) -> &'static str {
        S::NAME
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// An aggregation, by a step of ours where that can be; any other node as it is.
pub(super) fn replaced<S: Step>(node: Arc<dyn ExecutionPlan>) -> Transformed<Arc<dyn ExecutionPlan>> {
    match node.downcast_ref::<AggregateExec>().and_then(FirstStep::<S>::of) {
        Some(first) => Transformed::yes(Arc::new(first)),
        None => Transformed::no(node),
    }
}

/// An aggregation that is done by a step of ours.
#[derive(Debug)]
struct FirstStep<S> {
    aggregate: AggregateExec,
    step: S,
}

impl<S: Step> FirstStep<S> {
    fn of(aggregate: &AggregateExec) -> Option<Self> {
        let by = aggregate.group_expr();
        let is_plain = *aggregate.mode() == AggregateMode::Partial
            && *aggregate.input_order_mode() == InputOrderMode::Linear
            && aggregate.limit_options().is_none()
            && aggregate.dynamic_expressions_produced().is_empty()
            && by.is_single()
            && !by.is_empty();
        let step = is_plain.then(|| S::of(aggregate)).flatten()?;
        Some(Self { aggregate: aggregate.clone(), step })
    }
}

impl<S: Step> DisplayAs for FirstStep<S> {
    fn fmt_as(&self, _form: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by: Vec<&str> = self.aggregate.group_expr().expr().iter().map(|(_, name)| name.as_str()).collect();
        let functions: Vec<&str> = self.aggregate.aggr_expr().iter().map(|function| function.name()).collect();
        write!(f, "{}: by=[{}], aggr=[{}]", S::NAME, by.join(", "), functions.join(", "))
    }
}

impl<S: Step> ExecutionPlan for FirstStep<S> {
    fn name(&self) -> &'static str {
        S::NAME
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.aggregate.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![self.aggregate.input()]
    }

    fn apply_expressions(
        &self,
        visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DfResult<TreeNodeRecursion>,
    ) -> DfResult<TreeNodeRecursion> {
        self.aggregate.apply_expressions(visit)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        options: ReplaceChildrenOptions,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let changed = Arc::new(self.aggregate.clone()).replace_children(children, options)?;
        Ok(replaced::<S>(changed).data)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> DfResult<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> DfResult<SendableRecordBatchStream> {
        self.step.execute(&self.aggregate, partition, context)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        self.step.metrics()
    }
}
