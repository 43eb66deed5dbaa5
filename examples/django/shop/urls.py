"""The addresses."""

from django.urls import path

from . import views

urlpatterns = [
    path("users/<int:user_id>", views.user),
    path("users/<int:user_id>/async", views.user_async),
    path("users/<int:user_id>/rename", views.rename),
    path("users/<int:user_id>/pay", views.pay),
    path("totals", views.totals),
    path("stats", views.stats),
]
