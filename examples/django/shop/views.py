"""The views."""

from django.db import transaction
from django.http import Http404, HttpRequest, JsonResponse
from django.shortcuts import get_object_or_404

from mysql_redis_cache.contrib.django import client, drop_on_commit

from . import queries
from .models import Order, User


def user(request: HttpRequest, user_id: int) -> JsonResponse:
    """Show a user with orders."""
    found = queries.user(user_id)
    if found is None:
        raise Http404
    orders = [{"id": each.id, "total": str(each.total)} for each in queries.orders(user_id)]
    return JsonResponse({**found, "orders": orders})


async def user_async(request: HttpRequest, user_id: int) -> JsonResponse:
    """Show a user."""
    found = await queries.user_async(user_id)
    if found is None:
        raise Http404
    return JsonResponse(found)


def rename(request: HttpRequest, user_id: int) -> JsonResponse:
    """Give a user another name; all that is cached of the user goes with the COMMIT."""
    with transaction.atomic():
        found = get_object_or_404(User.objects.select_for_update(), pk=user_id)
        found.name = request.GET["name"]
        found.save()
    return JsonResponse({"renamed": user_id})


def pay(request: HttpRequest, user_id: int) -> JsonResponse:
    """Have all orders of a user paid: ``update()`` sends no signals, so the drop stands beside it."""
    with transaction.atomic():
        paid = Order.objects.filter(user_id=user_id, state="new").update(state="paid")
        drop_on_commit(["UserId"], [user_id])
    return JsonResponse({"paid": paid})


def totals(request: HttpRequest) -> JsonResponse:
    """Show how many orders there are in each state."""
    return JsonResponse({row["state"]: row["orders"] for row in queries.totals()})


def stats(request: HttpRequest) -> JsonResponse:
    """Show the counters of this process."""
    return JsonResponse(client.stats().as_dict())
