"""What is sold to whom."""

from django.db import models


class User(models.Model):
    """A customer."""

    name = models.CharField(max_length=40)
    store_id = models.IntegerField()

    def __str__(self) -> str:
        return str(self.name)


class Label(models.Model):
    """What an order may be marked with."""

    text = models.CharField(max_length=40)

    def __str__(self) -> str:
        return str(self.text)


class Order(models.Model):
    """What a customer has bought."""

    user = models.ForeignKey(User, on_delete=models.CASCADE)
    state = models.CharField(max_length=10)
    total = models.DecimalField(max_digits=9, decimal_places=2)
    placed_at = models.DateTimeField(auto_now_add=True)
    labels = models.ManyToManyField(Label)

    def __str__(self) -> str:
        return f"order {self.pk}"
