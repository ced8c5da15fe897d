"""The paths of the API, each with and without a trailing slash."""

from django.urls import re_path

from myapp import views

urlpatterns = [
    re_path(r"^public/?$", views.public),
    re_path(r"^private/?$", views.private),
    re_path(r"^private-scoped/?$", views.private_scoped),
]
