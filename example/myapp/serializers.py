"""The answer of the endpoints, for the API's description."""

from rest_framework import serializers


class Message(serializers.Serializer):
    message = serializers.CharField()
