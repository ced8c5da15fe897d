"""Models of people as projects write them, each with a manager or fields of its own."""

import threading
import uuid
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models import Count, F, FilteredRelation, Func, Q, Value
from django.db.models.functions import Lower, TruncDay
from django.db.models.signals import post_init
from django.dispatch import receiver

# What a middleware of the project sets for a request.
now = threading.local()


class Manager(BaseUserManager):
    pass


def managed(make, queryset_class=models.QuerySet) -> Any:
    """A manager whose querysets are made by `make`."""

    class Managed(BaseUserManager.from_queryset(queryset_class)):
        def get_queryset(self):
            return make(super().get_queryset())

    return Managed()


class Office(models.Model):
    city = models.CharField(max_length=20)

    class Meta:
        app_label = "resource_server_test_people"


class Base(AbstractBaseUser):
    username = models.CharField(max_length=40)
    is_active = models.BooleanField(default=True)
    office = models.ForeignKey(Office, on_delete=models.CASCADE, null=True, related_name="+")
    deleted_at = models.DateTimeField(null=True)
    joined_at = models.DateTimeField(auto_now_add=True)
    tenant = models.IntegerField(default=1)
    balance = models.DecimalField(max_digits=8, decimal_places=2, default="1.50")
    notes = models.JSONField(default=dict)
    USERNAME_FIELD = "username"
    objects = Manager()

    class Meta:
        abstract = True
        app_label = "resource_server_test_people"


class Person(Base):
    pass


class Proxy(Person):
    objects = managed(lambda all_of_them: all_of_them.filter(is_active=True))

    class Meta:
        proxy = True
        app_label = "resource_server_test_people"


class Employee(Person):
    badge = models.CharField(max_length=20, default="B-1")

    class Meta:
        app_label = "resource_server_test_people"


class Engineer(Employee):
    objects = managed(lambda all_of_them: all_of_them.filter(is_active=True).select_related("office"))
    tools = models.CharField(max_length=20, default="compass")

    class Meta:
        app_label = "resource_server_test_people"


class WithUuid(Base):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)


class NamedByUuid(Base):
    username = models.UUIDField(default=uuid.uuid4)


class NamedByNumber(Base):
    username = models.IntegerField()


class WithColumns(Base):
    username = models.CharField(max_length=40, db_column="user name")

    class Meta:
        db_table = "people of the world"
        app_label = "resource_server_test_people"


class ReadsOwnRow(Base):
    @classmethod
    def from_db(cls, db, field_names, values, **options):
        instance = super().from_db(db, field_names, values, **options)
        instance.read_from = dict(zip(field_names, values, strict=True))
        return instance


class WithInit(Base):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.greeting = f"Hello, {self.username}"


class WithReceiver(Base):
    pass


@receiver(post_init, sender=WithReceiver)
def note_username(sender, instance, **_):
    instance.username_before = instance.username


class WithSetter(Base):
    def __setattr__(self, name, value):
        super().__setattr__(name, value.upper() if name == "password" else value)


class Reversed(models.CharField):
    """Stands for an encrypted field: what is in the column is not what Python sees."""

    def get_prep_value(self, value):
        value = super().get_prep_value(value)
        return None if value is None else f"enc:{value[::-1]}"

    def from_db_value(self, value, expression, connection):
        return None if value is None else value.removeprefix("enc:")[::-1]


class Encrypted(Base):
    username = Reversed(max_length=40)
    secret = Reversed(max_length=40, default="s3cret")


class KeyOfTheTenant(models.CharField):
    """Decrypted in the database with a key of the request, as with pgcrypto."""

    def select_format(self, compiler, sql, params):
        return f"{sql} || %s", [*params, getattr(now, "key", "-")]


class DecryptedByDatabase(Base):
    secret = KeyOfTheTenant(max_length=40, default="s3cret")


class WithGenerated(Base):
    full_name = models.GeneratedField(
        expression=Lower("username"), output_field=models.CharField(max_length=40), db_persist=True
    )


class WithOffice(Base):
    objects = managed(lambda all_of_them: all_of_them.select_related("office"))


class WithoutNotes(Base):
    objects = managed(lambda all_of_them: all_of_them.defer("notes", "password"))


class OnlyNames(Base):
    objects = managed(lambda all_of_them: all_of_them.only("username"))


class SoftlyDeleted(Base):
    objects = managed(lambda all_of_them: all_of_them.filter(deleted_at__isnull=True).exclude(tenant__in=[8, 9]))


class DeletingQuerySet(models.QuerySet):
    """Overrides a method that writes, as soft deletion does."""

    def delete(self):
        return self.update(is_active=False)

    def active(self):
        return self.filter(is_active=True)


class DeletedByUpdate(Base):
    objects = managed(lambda all_of_them: all_of_them.active(), DeletingQuerySet)


class Ordered(Base):
    objects = managed(lambda all_of_them: all_of_them.order_by("-joined_at").distinct())

    class Meta:
        ordering = [Lower("username")]
        app_label = "resource_server_test_people"


class OfATenant(Base):
    objects = managed(lambda all_of_them: all_of_them.filter(tenant=getattr(now, "tenant", 1)))


class InACity(Base):
    objects = managed(
        lambda all_of_them: all_of_them.filter(Q(office__city="Turin") | Q(office=None) if now.city else Q())
    )


class Tenant(Func):
    """An expression of the project whose SQL depends on the request."""

    arity = 0
    output_field = models.IntegerField()

    def as_sql(self, compiler, connection, **_):
        return "%s", [getattr(now, "tenant", 1)]


class OfATenantInSql(Base):
    objects = managed(lambda all_of_them: all_of_them.filter(tenant=Tenant()))


class CityOfTheTenant(Func):
    arity = 0
    output_field = models.CharField()

    def as_sql(self, compiler, connection, **_):
        return "%s", ["Turin" if getattr(now, "tenant", 1) == 1 else "Rome"]


class OfATenantInAJoin(Base):
    objects = managed(
        lambda all_of_them: all_of_them.alias(
            own=FilteredRelation("office", condition=Q(office__city=CityOfTheTenant()))
        ).filter(own__isnull=False)
    )


class TenantField(models.IntegerField):
    """A field of the project whose parameter depends on the request."""

    def get_db_prep_value(self, value, connection, prepared=False):
        return getattr(now, "tenant", 1)


class OfATenantInField(Base):
    tenant = TenantField(default=1)
    objects = managed(lambda all_of_them: all_of_them.filter(tenant=0))


class OfATenantInLookup(Base):
    objects = managed(lambda all_of_them: all_of_them.filter(tenant__of_now=0))


@OfATenantInLookup._meta.get_field("tenant").register_lookup
class OfNow(models.Lookup):
    """A condition of the project whose parameter depends on the request."""

    lookup_name = "of_now"

    def as_sql(self, compiler, connection):
        sql, _ = self.process_lhs(compiler, connection)
        return f"{sql} = %s", [getattr(now, "tenant", 1)]


class OwnForeignKey(models.ForeignKey):
    pass


class WithOwnForeignKey(Base):
    office = OwnForeignKey(Office, on_delete=models.CASCADE, null=True, related_name="+")
    objects = managed(lambda all_of_them: all_of_them.exclude(office=-1))


class SlimForATenant(Base):
    """Whose columns depend on the request."""

    objects = managed(
        lambda all_of_them: all_of_them.defer("password", "last_login") if now.tenant == 2 else all_of_them
    )


class JoinedToday(Base):
    """What a day is depends on the time zone of the request."""

    objects = managed(lambda all_of_them: all_of_them.filter(joined_at__date=now.day))


class WithDay(Base):
    objects = managed(lambda all_of_them: all_of_them.annotate(day=TruncDay("joined_at")))


class Annotated(Base):
    objects = managed(lambda all_of_them: all_of_them.annotate(loud=Lower("username"), ten=Value(10) + F("tenant")))


class Counted(Base):
    objects = managed(lambda all_of_them: all_of_them.annotate(offices=Count("office")))


class WithExtra(Base):
    objects = managed(lambda all_of_them: all_of_them.extra(select={"two": "1 + %s"}, select_params=[1]))


class Prefetched(Base):
    objects = managed(lambda all_of_them: all_of_them.prefetch_related("office"))


class ReadingQuerySet(models.QuerySet):
    """Overrides a method that reads."""

    def _fetch_all(self):
        super()._fetch_all()
        for each in self._result_cache:
            each.fetched = True


class ReadByProject(Base):
    objects = managed(lambda all_of_them: all_of_them, ReadingQuerySet)


class HiddenByFilter(Base):
    class QuerySet(models.QuerySet):
        def _filter_or_exclude(self, negate, args, kwargs):
            return super()._filter_or_exclude(negate, args, {**kwargs, "is_active": True})

    objects = managed(lambda all_of_them: all_of_them, QuerySet)


class HiddenByPlainManager(Base):
    objects = BaseUserManager.from_queryset(HiddenByFilter.QuerySet)()


class ShowsNone(Base):
    objects = managed(lambda all_of_them: all_of_them.none())


class IgnoringCase(Base):
    class Manager(BaseUserManager):
        def get_by_natural_key(self, username):
            return self.get(username__iexact=username)

    objects = Manager()


class WithPlainManager(Base):
    objects = models.Manager()


# Each model, and whether its SQL is made once.
COMPILED = {
    Person: True,
    Proxy: True,
    Employee: True,
    Engineer: True,
    WithUuid: True,
    NamedByUuid: True,
    NamedByNumber: False,
    WithColumns: True,
    ReadsOwnRow: True,
    WithInit: True,
    WithReceiver: True,
    WithSetter: True,
    Encrypted: True,
    DecryptedByDatabase: False,
    WithGenerated: True,
    WithOffice: True,
    WithoutNotes: True,
    OnlyNames: True,
    SoftlyDeleted: True,
    DeletedByUpdate: True,
    Ordered: True,
    OfATenant: True,
    InACity: True,
    OfATenantInSql: False,
    OfATenantInField: False,
    OfATenantInAJoin: False,
    OfATenantInLookup: False,
    WithOwnForeignKey: False,
    SlimForATenant: True,
    JoinedToday: False,
    WithDay: False,
    Annotated: False,
    Counted: False,
    WithExtra: False,
    Prefetched: False,
    ReadByProject: False,
    HiddenByFilter: False,
    HiddenByPlainManager: False,
    ShowsNone: False,
    IgnoringCase: True,
    WithPlainManager: True,
}
