"""The paths of the API, each with and without a trailing slash."""

from django.urls import re_path

from myapp import views

# The group keeps the optional slash out of the path that /docs/ shows.
urlpatterns = [
    re_path(r"^public(?:/)?\Z", views.public),
    re_path(r"^private(?:/)?\Z", views.private),
    re_path(r"^private-scoped(?:/)?\Z", views.private_scoped),
    re_path(r"", views.not_found),
]
