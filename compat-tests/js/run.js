// Black-box tests with the AWS SDK for JavaScript. compat-tests/js_test.go runs this program and reads what it prints.
"use strict";

require("./objects");
require("./uploads");
require("./checksums");
require("./listings");
require("./presigned");
require("./errors");
require("./features");
require("./harness").run();
