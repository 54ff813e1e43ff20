"""Black-box tests with boto3, old and new. compat-tests/boto3_test.go runs this program and reads what it prints."""

import harness
import objects  # noqa: F401  each registers its cases
import checksums  # noqa: F401
import conditions  # noqa: F401
import copies  # noqa: F401
import documents  # noqa: F401
import errors  # noqa: F401
import listings  # noqa: F401
import locks  # noqa: F401
import multipart  # noqa: F401
import posts  # noqa: F401
import presigned  # noqa: F401
import retries  # noqa: F401
import tagging  # noqa: F401
import transfers  # noqa: F401
import versions  # noqa: F401

if __name__ == "__main__":
    harness.run()
