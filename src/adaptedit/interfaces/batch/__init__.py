"""Many edits: records in, pictures and a manifest out, resumed at will.

`reading` checks the records; `run` has them edited, here, in `processes` or by `ray_run`'s workers, and alone
writes the `manifest`.
"""
