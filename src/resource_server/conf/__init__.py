"""The setting `RESOURCE_SERVER`, read and checked: policies for the verifier, problems for people."""
