package policy

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// statementOf wraps the elements of one statement into a policy.
func statementOf(elements string) string {
	return `{"Version":"2012-10-17","Statement":[{` + elements + `}]}`
}

const bare = `"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::bkt/*"`

func TestParseErrors(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ doc, want string }{
		"empty":              {"", "Policies must be valid JSON and the first byte must be '{'"},
		"not an object":      {"true", "Policies must be valid JSON and the first byte must be '{'"},
		"leading space":      {" {}", "Policies must be valid JSON and the first byte must be '{'"},
		"cut":                {`{"Version":"2012-10-17"`, "This policy contains invalid Json"},
		"more behind":        {statementOf(bare) + "{}", "Policies must be valid JSON and the first byte must be '{'"},
		"no statement":       {`{"Version":"2012-10-17"}`, "Missing required field Statement"},
		"no statements":      {`{"Version":"2012-10-17","Statement":[]}`, "Could not parse the policy: Statement is empty!"},
		"version":            {`{"Version":"2020-01-01","Statement":[{` + bare + `}]}`, "The policy must contain a valid version string"},
		"unknown field":      {`{"Version":"2012-10-17","Rules":[],"Statement":[{` + bare + `}]}`, "Unknown field Rules"},
		"unknown element":    {statementOf(bare + `,"Prinzipal":"*"`), "Unknown field Prinzipal"},
		"no effect":          {statementOf(`"Principal":"*","Action":"s3:GetObject","Resource":"*"`), "Missing required field Effect"},
		"effect":             {statementOf(`"Effect":"allow","Principal":"*","Action":"s3:GetObject","Resource":"*"`), "Invalid effect: allow"},
		"no principal":       {statementOf(`"Effect":"Allow","Action":"s3:GetObject","Resource":"*"`), "Missing required field Principal"},
		"no action":          {statementOf(`"Effect":"Allow","Principal":"*","Resource":"*"`), "Missing required field Action"},
		"no resource":        {statementOf(`"Effect":"Allow","Principal":"*","Action":"s3:GetObject"`), "Missing required field Resource"},
		"both actions":       {statementOf(bare + `,"NotAction":"s3:PutObject"`), "Statement contains both Action and NotAction"},
		"principal name":     {statementOf(strings.Replace(bare, `"*"`, `"bob"`, 1)), "Invalid principal in policy"},
		"principal arn":      {statementOf(strings.Replace(bare, `"*"`, `{"AWS":"arn:aws:iam::12:user/x"}`, 1)), "Invalid principal in policy"},
		"principal wildcard": {statementOf(strings.Replace(bare, `"*"`, `{"AWS":"arn:aws:iam::123456789012:user/*"}`, 1)), "Invalid principal in policy"},
		"principal kind":     {statementOf(strings.Replace(bare, `"*"`, `{"User":"*"}`, 1)), "Invalid principal in policy"},
		"no principals":      {statementOf(strings.Replace(bare, `"*"`, `{"AWS":[]}`, 1)), "Invalid principal in policy"},
		"condition operator": {statementOf(bare + `,"Condition":{"StringEqual":{"aws:username":"x"}}`), "Invalid Condition type : StringEqual"},
		"null if exists":     {statementOf(bare + `,"Condition":{"NullIfExists":{"aws:username":"x"}}`), "Invalid Condition type : NullIfExists"},
		"condition key":      {statementOf(bare + `,"Condition":{"StringEquals":{"username":"x"}}`), "Policy has an invalid condition key"},
		"condition value":    {statementOf(bare + `,"Condition":{"StringEquals":{"aws:username":[]}}`), "Policy has an invalid condition value"},
		"condition object":   {statementOf(bare + `,"Condition":{"StringEquals":{"aws:username":{}}}`), "Syntax errors in policy."},
		"action object":      {statementOf(strings.Replace(bare, `"s3:GetObject"`, `{}`, 1)), "Syntax errors in policy."},
		"action null":        {statementOf(strings.Replace(bare, `"s3:GetObject"`, `[null]`, 1)), "Syntax errors in policy."},
		"too long":           {statementOf(bare + strings.Repeat(" ", MaxSize)), "Policy exceeds the maximum allowed document size."},
	} {
		_, err := Parse([]byte(tt.doc))
		var e *Error
		if !errors.As(err, &e) || e.Message != tt.want {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	actions := map[string]Target{"s3:GetObject": OnObject, "s3:PutObject": OnObject, "s3:ListBucket": OnBucket}
	for _, tt := range []struct{ action, resource, want string }{
		{`"s3:GetObject"`, `"arn:aws:s3:::bkt/*"`, ""},
		{`"s3:getobject"`, `"arn:aws:s3:::bkt/a/*"`, ""},
		{`"s3:*"`, `"arn:aws:s3:::bkt"`, ""},
		{`"*"`, `"*"`, ""},
		{`["s3:GetObject","s3:ListBucket"]`, `["arn:aws:s3:::bkt","arn:aws:s3:::bkt/*"]`, ""},
		{`"s3:GetObject"`, `"arn:aws:s3:::bkt*"`, ""},
		{`"s3:ListBucket"`, `"arn:aws:s3:::b*"`, ""},
		{`"s3:GetObject"`, `"arn:aws:s3:::bkt"`, "Action does not apply to any resource(s) in statement"},
		{`"s3:ListBucket"`, `"arn:aws:s3:::bkt/*"`, "Action does not apply to any resource(s) in statement"},
		{`["s3:GetObject","s3:ListBucket"]`, `"arn:aws:s3:::bkt/*"`, "Action does not apply to any resource(s) in statement"},
		{`"s3:GetObject"`, `"arn:aws:s3:::other/*"`, "Policy has invalid resource"},
		{`"s3:GetObject"`, `"bkt/*"`, "Policy has invalid resource"},
		{`"s3:GetObjekt"`, `"arn:aws:s3:::bkt/*"`, "Policy has invalid action"},
		{`"ec2:RunInstances"`, `"arn:aws:s3:::bkt/*"`, "Policy has invalid action"},
	} {
		p, err := Parse([]byte(statementOf(`"Effect":"Allow","Principal":"*","Action":` + tt.action + `,"Resource":` + tt.resource)))
		if err != nil {
			t.Fatal(err)
		}
		if err = p.Validate("bkt", actions); (err == nil) != (tt.want == "") || err != nil && err.Error() != tt.want {
			t.Errorf("%s on %s: %v, want %q", tt.action, tt.resource, err, tt.want)
		}
	}
}

// ask is a request to read an object by a user of the account.
func ask(values map[string]string) *Request {
	return &Request{
		Principal: Principal{AccountID: "123456789012", ARN: "arn:aws:iam::123456789012:user/ann", Canonical: "c1"},
		Action:    "s3:GetObject", Resource: ARN("bkt", "home/ann/x"),
		Value: func(key string) []string {
			if v, ok := values[key]; ok {
				return strings.Split(v, ",")
			}
			return nil
		},
	}
}

func decide(t *testing.T, doc string, r *Request) Decision {
	t.Helper()
	p, err := Parse([]byte(doc))
	if err != nil {
		t.Fatalf("%s: %v", doc, err)
	}
	return p.Evaluate(r)
}

func TestPrincipals(t *testing.T) {
	t.Parallel()
	for principal, want := range map[string]Decision{
		`"Principal":"*"`:                    Allowed,
		`"Principal":{"AWS":"*"}`:            Allowed,
		`"Principal":{"AWS":"123456789012"}`: Allowed,
		`"Principal":{"AWS":["210987654321","arn:aws:iam::123456789012:root"]}`:           Allowed,
		`"Principal":{"AWS":"arn:aws:iam::123456789012:user/ann"}`:                        Allowed,
		`"Principal":{"AWS":"arn:aws:iam::123456789012:user/bob"}`:                        Silent,
		`"Principal":{"CanonicalUser":"c1"}`:                                              Allowed,
		`"Principal":{"CanonicalUser":"c2"}`:                                              Silent,
		`"Principal":{"Service":"logging.s3.amazonaws.com"}`:                              Silent,
		`"NotPrincipal":{"AWS":"arn:aws:iam::123456789012:user/ann"}`:                     Silent,
		`"NotPrincipal":{"AWS":"arn:aws:iam::123456789012:user/bob"}`:                     Allowed,
		`"Principal":{"AWS":"210987654321","CanonicalUser":["c1","c2"]}`:                  Allowed,
		`"Principal":{"AWS":"arn:aws:sts::123456789012:assumed-role/admin/session-name"}`: Silent,
	} {
		doc := statementOf(`"Effect":"Allow",` + principal + `,"Action":"s3:GetObject","Resource":"arn:aws:s3:::bkt/*"`)
		if got := decide(t, doc, ask(nil)); got != want {
			t.Errorf("%s: %v", principal, got)
		}
	}
	anonymous := ask(nil)
	anonymous.Principal = Principal{Anonymous: true}
	for principal, want := range map[string]Decision{`"*"`: Allowed, `{"AWS":"*"}`: Allowed, `{"CanonicalUser":""}`: Silent, `{"AWS":"123456789012"}`: Silent} {
		p, err := Parse([]byte(statementOf(`"Effect":"Allow","Principal":` + principal + `,"Action":"*","Resource":"*"`)))
		if err == nil && p.Evaluate(anonymous) != want {
			t.Errorf("anonymous, %s: not %v", principal, want)
		}
	}
}

func TestActionsAndResources(t *testing.T) {
	t.Parallel()
	values := map[string]string{"aws:username": "ann", "aws:evil": "*"}
	for _, tt := range []struct {
		elements string
		want     Decision
	}{
		{`"Action":"s3:GetObject","Resource":"arn:aws:s3:::bkt/*"`, Allowed},
		{`"Action":"S3:getobject","Resource":"arn:aws:s3:::bkt/*"`, Allowed},
		{`"Action":"s3:Get*","Resource":"*"`, Allowed},
		{`"Action":"s3:GetObjec?","Resource":"arn:aws:s3:::bkt/home/*/x"`, Allowed},
		{`"Action":"s3:PutObject","Resource":"*"`, Silent},
		{`"Action":"*","Resource":"arn:aws:s3:::bkt"`, Silent},
		{`"Action":"*","Resource":"arn:aws:s3:::bkt/HOME/*"`, Silent},
		{`"NotAction":"s3:PutObject","Resource":"*"`, Allowed},
		{`"NotAction":"s3:Get*","Resource":"*"`, Silent},
		{`"Action":"*","NotResource":"arn:aws:s3:::bkt/home/*"`, Silent},
		{`"Action":"*","NotResource":"arn:aws:s3:::bkt/other/*"`, Allowed},
		{`"Action":"*","Resource":"arn:aws:s3:::bkt/home/${aws:username}/*"`, Allowed},
		{`"Action":"*","Resource":"arn:aws:s3:::bkt/home/${aws:userid}/*"`, Silent},
		{`"Action":"*","Resource":"arn:aws:s3:::bkt/${aws:evil}"`, Silent},
		{`"Action":"*","Resource":"arn:aws:s3:::bkt/${*}"`, Silent},
		{`"Action":"*","Resource":"arn:aws:s3:::bkt/${aws:username"`, Silent},
	} {
		if got := decide(t, statementOf(`"Effect":"Allow","Principal":"*",`+tt.elements), ask(values)); got != tt.want {
			t.Errorf("%s: %v", tt.elements, got)
		}
	}
	star := ask(values)
	star.Resource = ARN("bkt", "a*b")
	if decide(t, statementOf(`"Effect":"Allow","Principal":"*","Action":"*","Resource":"arn:aws:s3:::bkt/a${*}b"`), star) != Allowed {
		t.Error("${*} is not a star")
	}
}

func TestDenyWins(t *testing.T) {
	t.Parallel()
	const allow = `{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}`
	const deny = `{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"*"}`
	const elsewhere = `{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"*"}`
	for statements, want := range map[string]Decision{
		allow: Allowed, deny: Denied, elsewhere: Silent, allow + "," + deny: Denied, deny + "," + allow: Denied, allow + "," + elsewhere: Allowed,
	} {
		if got := decide(t, `{"Statement":[`+statements+`]}`, ask(nil)); got != want {
			t.Errorf("%s: %v", statements, got)
		}
	}
	if got := decide(t, `{"Statement":`+allow+`}`, ask(nil)); got != Allowed {
		t.Errorf("a single statement: %v", got)
	}
}

func TestConditions(t *testing.T) {
	t.Parallel()
	values := map[string]string{
		"aws:username": "ann", "aws:sourceip": "10.1.2.3", "aws:securetransport": "true", "s3:prefix": "home/a*", "s3:max-keys": "10",
		"aws:currenttime": "2026-05-01T12:00:00Z", "aws:principalarn": "arn:aws:iam::123456789012:user/ann",
		"s3:existingobjecttag/Colour": "red", "s3:requestobjecttagkeys": "a,b", "aws:sourceipv6": "2001:db8::1",
	}
	for condition, want := range map[string]bool{
		`{"StringEquals":{"aws:username":"ann"}}`:                                      true,
		`{"StringEquals":{"AWS:UserName":["bob","ann"]}}`:                              true,
		`{"StringEquals":{"aws:username":"Ann"}}`:                                      false,
		`{"StringEqualsIgnoreCase":{"aws:username":"ANN"}}`:                            true,
		`{"StringNotEquals":{"aws:username":["bob","ann"]}}`:                           false,
		`{"StringNotEquals":{"aws:username":"bob"}}`:                                   true,
		`{"StringNotEquals":{"aws:missing":"bob"}}`:                                    true,
		`{"StringEquals":{"aws:missing":"bob"}}`:                                       false,
		`{"StringEqualsIfExists":{"aws:missing":"bob"}}`:                               true,
		`{"StringEqualsIfExists":{"aws:username":"bob"}}`:                              false,
		`{"StringLike":{"aws:username":"a?n"}}`:                                        true,
		`{"StringLike":{"aws:username":"b*"}}`:                                         false,
		`{"StringNotLike":{"aws:username":"a*"}}`:                                      false,
		`{"StringLike":{"s3:prefix":"home/${aws:username}*"}}`:                         false,
		`{"StringEquals":{"s3:prefix":"home/a${*}"}}`:                                  true,
		`{"StringEquals":{"s3:existingobjecttag/Colour":"red"}}`:                       true,
		`{"StringEquals":{"S3:ExistingObjectTag/Colour":"red"}}`:                       true,
		`{"StringEquals":{"s3:ExistingObjectTag/colour":"red"}}`:                       false,
		`{"NumericEquals":{"s3:max-keys":10}}`:                                         true,
		`{"NumericEquals":{"s3:max-keys":"10.0"}}`:                                     true,
		`{"NumericNotEquals":{"s3:max-keys":"10"}}`:                                    false,
		`{"NumericLessThan":{"s3:max-keys":"10"}}`:                                     false,
		`{"NumericLessThanEquals":{"s3:max-keys":"10"}}`:                               true,
		`{"NumericGreaterThan":{"s3:max-keys":"9"}}`:                                   true,
		`{"NumericGreaterThanEquals":{"s3:max-keys":"11"}}`:                            false,
		`{"NumericLessThan":{"s3:max-keys":"ten"}}`:                                    false,
		`{"DateGreaterThan":{"aws:currenttime":"2026-01-01T00:00:00Z"}}`:               true,
		`{"DateLessThan":{"aws:currenttime":"2026-05-01"}}`:                            false,
		`{"DateEquals":{"aws:currenttime":"1777636800"}}`:                              true,
		`{"Bool":{"aws:securetransport":true}}`:                                        true,
		`{"Bool":{"aws:securetransport":"false"}}`:                                     false,
		`{"IpAddress":{"aws:sourceip":"10.0.0.0/8"}}`:                                  true,
		`{"IpAddress":{"aws:sourceip":["192.168.0.0/16","10.1.2.3"]}}`:                 true,
		`{"NotIpAddress":{"aws:sourceip":"10.0.0.0/8"}}`:                               false,
		`{"NotIpAddress":{"aws:sourceip":["10.0.0.0/9","11.0.0.0/8"]}}`:                false,
		`{"IpAddress":{"aws:sourceipv6":"2001:db8::/32"}}`:                             true,
		`{"IpAddress":{"aws:sourceip":"nonsense"}}`:                                    false,
		`{"ArnLike":{"aws:principalarn":"arn:aws:iam::*:user/a*"}}`:                    true,
		`{"ArnEquals":{"aws:principalarn":"arn:aws:iam::123456789012:user/bob"}}`:      false,
		`{"ArnLike":{"aws:principalarn":"arn:*"}}`:                                     false,
		`{"Null":{"aws:missing":"true"}}`:                                              true,
		`{"Null":{"aws:username":"true"}}`:                                             false,
		`{"Null":{"aws:username":false}}`:                                              true,
		`{"ForAllValues:StringEquals":{"s3:requestobjecttagkeys":["a","b","c"]}}`:      true,
		`{"ForAllValues:StringEquals":{"s3:requestobjecttagkeys":["a"]}}`:              false,
		`{"ForAllValues:StringEquals":{"aws:missing":["a"]}}`:                          true,
		`{"ForAnyValue:StringEquals":{"s3:requestobjecttagkeys":["b"]}}`:               true,
		`{"ForAnyValue:StringEquals":{"s3:requestobjecttagkeys":["c"]}}`:               false,
		`{"ForAnyValue:StringEquals":{"aws:missing":["c"]}}`:                           false,
		`{"StringEquals":{"aws:username":"ann"},"Bool":{"aws:securetransport":false}}`: false,
		`{"StringEquals":{"aws:username":"ann","s3:max-keys":"10"}}`:                   true,
	} {
		got := decide(t, statementOf(bare+`,"Condition":`+condition), ask(values))
		if (got == Allowed) != want {
			t.Errorf("%s: %v", condition, got)
		}
	}
}

func TestPublic(t *testing.T) {
	t.Parallel()
	for i, tt := range []struct {
		elements string
		want     bool
	}{
		{bare, true},
		{strings.Replace(bare, "Allow", "Deny", 1), false},
		{strings.Replace(bare, `"*"`, `{"AWS":"123456789012"}`, 1), false},
		{strings.Replace(bare, `"Principal":"*"`, `"NotPrincipal":{"AWS":"123456789012"}`, 1), true},
		{bare + `,"Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/24"}}`, false},
		{bare + `,"Condition":{"IpAddress":{"aws:SourceIp":["10.0.0.0/24","0.0.0.0/0"]}}`, true},
		{bare + `,"Condition":{"NotIpAddress":{"aws:SourceIp":"10.0.0.0/24"}}`, true},
		{bare + `,"Condition":{"StringEquals":{"aws:SourceVpc":"vpc-1"}}`, false},
		{bare + `,"Condition":{"StringLike":{"aws:SourceVpc":"vpc-*"}}`, true},
		{bare + `,"Condition":{"StringEqualsIfExists":{"aws:SourceVpc":"vpc-1"}}`, true},
		{bare + `,"Condition":{"StringEquals":{"s3:prefix":"x"}}`, true},
		{bare + `,"Condition":{"Bool":{"aws:SecureTransport":"true"}}`, true},
	} {
		p, err := Parse([]byte(statementOf(tt.elements)))
		if err != nil || p.Public() != tt.want {
			t.Errorf("%d: %s: not %v (%v)", i, tt.elements, tt.want, err)
		}
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true}, {"*", "", true}, {"*", "abc", true}, {"a*c", "abc", true}, {"a*c", "abd", false}, {"a*b*c", "aXbYbZc", true},
		{"?", "", false}, {"?", "x", true}, {"a**", "a", true}, {"*a", "ba", true}, {"*a*", "bcb", false}, {"abc", "ab", false}, {"ab", "abc", false},
		{"?", "ü", true}, {"a?c", "a😀c", true}, {"??", "ü", false}, {"*??", "ü", false},
	} {
		if got := match(tt.pattern, tt.s, false); got != tt.want {
			t.Errorf("match(%q, %q) = %v", tt.pattern, tt.s, got)
		}
	}
	// A pattern of many stars must not take exponential time.
	if match(strings.Repeat("a*", 40)+"b", strings.Repeat("a", 5000), false) {
		t.Error("matched")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(statementOf(bare))
	f.Add(statementOf(bare + `,"Condition":{"ForAnyValue:StringLike":{"s3:x":["${aws:username}","a*"]}}`))
	f.Add(fmt.Sprintf(`{"Statement":{%s}}`, bare))
	f.Fuzz(func(t *testing.T, doc string) {
		p, err := Parse([]byte(doc))
		var e *Error
		if err != nil {
			if !errors.As(err, &e) {
				t.Fatalf("%q: %v is not for clients", doc, err)
			}
			return
		}
		_ = p.Validate("bkt", map[string]Target{"s3:GetObject": OnObject})
		_ = p.Public()
		p.Evaluate(ask(map[string]string{"aws:username": "x"}))
	})
}
