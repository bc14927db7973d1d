import pytest

from helixnas.search import extreme
from tests.search.conftest import make_instance


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("name", ["madds", "num_params"])
def test_the_least_and_the_most_are_those_of_all_architectures(seed: int, name: str) -> None:
    instance = make_instance(seed, num_blocks=3, num_paths=3, widths=(8, 16))
    values = [choice.cost[name] for choice in instance.everything]
    for is_largest, wanted in ((False, min(values)), (True, max(values))):
        found = extreme(instance.space, instance.costs, name, largest=is_largest)
        assert instance.price(found).cost[name] == wanted
