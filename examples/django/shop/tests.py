"""How a project tests its cached reads."""

from django.test import TestCase

from . import queries
from .models import User


class UserTest(TestCase):
    """In a transaction that is rolled back: reads see what the test has written, and cache nothing."""

    def test_a_user_is_found(self) -> None:
        """What was written a moment ago."""
        ada = User.objects.create(name="Ada", store_id=6)

        self.assertEqual(queries.user(ada.pk), {"id": ada.pk, "name": "Ada", "store_id": 6})

    def test_a_user_is_renamed(self) -> None:
        """And found under the new name at once."""
        ada = User.objects.create(name="Ada", store_id=6)
        self.client.get(f"/users/{ada.pk}/rename", {"name": "Eve"})

        self.assertEqual(self.client.get(f"/users/{ada.pk}").json()["name"], "Eve")

    async def test_a_coroutine_finds_it_too(self) -> None:
        """It loads over the test's own connection."""
        ada = await User.objects.acreate(name="Ada", store_id=6)

        response = await self.async_client.get(f"/users/{ada.pk}/async")

        self.assertEqual(response.json()["name"], "Ada")
