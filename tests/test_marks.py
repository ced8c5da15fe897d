"""Where the requirements of guards are found, and that nothing else is taken for one."""

from functools import wraps

from resource_server.marks import noted, noted_on_class, noted_on_function
from resource_server.requirements import AnyToken, Scopes

A, B = Scopes(("a",)), Scopes(("b",))


def marked(*requirements):
    def view(request):
        return None

    view.requirements = requirements
    return view


def careless(view):
    def wrapper(request):
        return view(request)

    return wrapper


def test_other_attributes_of_that_name_are_not_requirements():
    assert noted(marked(A, AnyToken())) == (A, AnyToken())
    for value in (None, 3, "a", ["a"], {"a": A}, A):
        view = marked()
        view.requirements = value
        assert noted(view) == noted_on_function(view) == ()


def test_wrappers_are_looked_into_and_the_outermost_mark_says_it_all():
    view = careless(wraps(marked(A))(careless(marked(A))))
    assert noted_on_function(view) == (A,)
    outer = careless(view)
    outer.requirements = (A, B)
    assert noted_on_function(careless(outer)) == (A, B)


def test_functions_that_refer_to_themselves_or_to_nothing_yet():
    def itself(request):
        return itself, later

    assert noted_on_function(itself) == ()
    later = marked(A)
    assert noted_on_function(itself) == (A,)


def test_all_base_classes_count():
    class First:
        dispatch = marked(A)

    class Second(First):
        def dispatch(self, request):
            return super().dispatch(request)

    class Third(Second):
        dispatch = marked(B)

    assert noted_on_class(Third, "dispatch", "initial") == (B, A)
