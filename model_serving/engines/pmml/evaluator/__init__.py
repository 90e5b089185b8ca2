"""Evaluates PMML models with numpy, as the standard (PMML 4.4, dmg.org) says.

A document is compiled into nodes: fields and expressions (``scope``, ``expressions``), predicates, models
(``models``), outputs and targets. Each node computes a whole batch as arrays (``batch``): ``evaluate`` of an
expression, ``predict`` of a model. That is a few nanoseconds a record in a large batch, but a microsecond for
each array when there is one record only. Therefore each node has a second method, which computes the same for
one record alone in plain numbers (``record``): ``one`` of an expression, ``predict_one`` of a model.

The batch is what counts. Where plain numbers have no answer, they raise ``Undecided``, and the batch decides.
"""
