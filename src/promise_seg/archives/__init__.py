"""A client for hospital archives (PACS) that speak DICOMweb: finding, retrieving and storing images.

It is built on ``urllib`` and ``pydicom``, which are available anyway. The existing library, ``dicomweb-client`` 0.61,
lacks features that a long run over an archive needs: it ignores ``Retry-After``, sends an empty body when it repeats a
chunked request, drops the reason that the archive gives for a rejection, and cannot renew a token between two tries of
a request. It would also add the dependencies ``requests`` and ``retrying``.
"""
