"""What the endpoints answer, for the API's description."""

from rest_framework import serializers


class Message(serializers.Serializer):
    message = serializers.CharField()
