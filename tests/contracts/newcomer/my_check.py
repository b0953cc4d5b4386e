"""A further check of every experiment."""

from dacr.experiment.checks import check


@check("NEW001", "single models differ in cost", "single_cost")
def _all_cost_the_same(c):
    if c.single_cost.max() <= 1.1 * c.single_cost.min():
        yield "warning", "all models cost about the same: there is nothing to save", "add a cheaper or a dearer model"
