"""What every router has to keep, and what this one is for."""

from dacr_cautious import CautiousRouter

from dacr.contracts import check_router


def test_the_contract() -> None:
    """The rules that DACR's own routers keep."""
    check_router(CautiousRouter)
