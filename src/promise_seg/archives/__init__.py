"""Hospital archives that speak DICOMweb: finding, retrieving and storing images.

This package is a small client of its own, on ``urllib`` and ``pydicom``, both of which are here anyway. The library at
hand, ``dicomweb-client`` 0.61, lacks what a long run over an archive needs: it ignores ``Retry-After``, a body that it
sends in chunks is empty when it is sent again, what a refusal says about its reasons is lost, and a token cannot be
renewed between two tries of a request. It would also bring ``requests`` and ``retrying``.
"""
