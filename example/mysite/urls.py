"""The page, the documentation, the admin, the API and its metadata."""

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from mysite import views

urlpatterns = [
    path("", views.index, name="index"),
    path("", include("resource_server.urls")),
    path("api/", include("myapp.urls")),
    path("admin/", admin.site.urls),
    path("docs/", SpectacularSwaggerView.as_view(template_name="swagger_ui.html"), name="docs"),
    path("docs/schema", SpectacularAPIView.as_view(), name="schema"),
    path("docs/oauth2-redirect.html", views.oauth2_redirect),
]
