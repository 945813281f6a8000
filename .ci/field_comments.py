#!/usr/bin/env python3
"""Says which comments of proto/equipoise/v1 lack something: of a number its range, of a real number its unit, of every
field what its absence means, of a call whether it may be made again. The keys of a job are checked by job_keys.py.

    .ci/field_comments.py
"""

import re
import sys

import api_reference as reference

Field = reference.Field
INTEGERS = {Field.TYPE_INT32, Field.TYPE_INT64, Field.TYPE_UINT32, Field.TYPE_UINT64}
# Words with which a comment says it; another field that is named has it.
ABSENCE = re.compile(r"\b(Required|[Aa]bsent|[Ee]mpty|[Uu]nspecified|False|Always there|0[ :])|\b[Ff]rom [01]\b|[>=]= ?[01]\b"
                     r"|> 0\b|\b1 to \d|> first_step|[Ii]n \[")
RANGE = re.compile(r">=|>|[Ii]n \[|\b\d+ to |[Ff]rom -?\d|[Aa]t most|[Ff]inite|Ids|Never negative|Ascending")
UNIT = re.compile(r"\b([Nn]ats|[Ss]econds?|[Ss]hare|[Pp]airs|memberships|units?|learning_rate|trade_off|alpha)\b"
                  r"|[Ii]n \[0, 1\]")
RETRY = re.compile(r"\bretry\b|Repeated safely|same request again")


def gaps(proto=reference.ROOT / "proto"):
    """One sentence for each comment that lacks something."""
    found = []
    for file in reference.descriptors(proto):
        places = {tuple(place.path): " ".join(place.leading_comments.split())
                  for place in file.source_code_info.location}
        for s, service in enumerate(file.service):
            for m, method in enumerate(service.method):
                if not RETRY.search(places.get((reference.SERVICE, s, reference.METHOD, m), "")):
                    found.append(f"{service.name}.{method.name} does not say whether it may be made again")
        if file.name.endswith("/job.proto"):
            continue
        for m, message in enumerate(file.message_type):
            for f, field in enumerate(message.field):
                comment = places.get((reference.MESSAGE, m, reference.FIELD, f), "")
                is_real = field.type == Field.TYPE_DOUBLE
                lacks = [what for what, is_wanted, pattern in (
                    ("range", is_real or field.type in INTEGERS, RANGE), ("unit", is_real, UNIT),
                    ("meaning of its absence", True, ABSENCE))
                    if is_wanted and not pattern.search(comment)]
                if lacks:
                    found.append(f"{message.name}.{field.name} has no {', no '.join(lacks)}")
    return found


def main():
    found = gaps()
    for sentence in found:
        print(f"protocol: {sentence}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
