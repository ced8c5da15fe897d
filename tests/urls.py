"""Routes of the test suite; a test that needs its own views overrides ROOT_URLCONF."""

from django.contrib import admin
from django.urls import path

urlpatterns = [path("admin/", admin.site.urls)]
