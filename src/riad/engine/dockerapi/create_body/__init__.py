"""Reading `POST /containers/create`: every field works or is refused by name. Start in `settings.py`.

One file for each group of fields; imports containers' and networks' models and `riad.oci`, reads no files. A field that
this engine does not know or support is accepted only with the value that means "nothing asked" (null, "", 0, false, [],
{}), which is what clients send for all they do not use.
"""
