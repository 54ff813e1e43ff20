package s3api

import "tdkvs/s3api/cors"

// corsConfig is the CORSConfiguration document of a bucket.
func corsConfig() bucketXML[[]cors.Rule] {
	return bucketXML[[]cors.Rule]{
		kind: "cors", root: "CORSConfiguration", unset: noCORS, digest: digestRequired,
		read: readCORS, check: cors.Check, write: writeCORS,
	}
}

// readCORS decodes the children of a CORSConfiguration element.
func readCORS(x *reader) ([]cors.Rule, error) {
	var rules []cors.Rule
	err := x.children(func(name string) error {
		if name != "CORSRule" {
			return unexpected(name)
		}
		if len(rules) > cors.MaxRules {
			return cors.Check(rules)
		}
		rule, err := readCORSRule(x)
		rules = append(rules, rule)
		return err
	})
	return rules, err
}

// readCORSRule decodes one CORSRule.
func readCORSRule(x *reader) (cors.Rule, error) {
	var rule cors.Rule
	ids := 0
	err := x.children(func(name string) error {
		switch name {
		case "AllowedOrigin":
			return x.appendText(&rule.AllowedOrigins)
		case "AllowedMethod":
			return x.appendText(&rule.AllowedMethods)
		case "AllowedHeader":
			return x.appendText(&rule.AllowedHeaders)
		case "ExposeHeader":
			return x.appendText(&rule.ExposeHeaders)
		case "MaxAgeSeconds":
			if rule.MaxAge != nil {
				return unexpected(name)
			}
			seconds, err := x.int()
			if int64(int32(seconds)) != seconds {
				err = unexpected(name)
			}
			rule.MaxAge = &seconds
			return err
		case "ID":
			if ids++; ids > 1 {
				return unexpected(name)
			}
			var err error
			rule.ID, err = x.text()
			return err
		}
		return unexpected(name)
	})
	return rule, err
}

// appendText reads the text of the current element into a list.
func (x *reader) appendText(list *[]string) error {
	s, err := x.text()
	*list = append(*list, s)
	return err
}

// writeCORS writes the children of a CORSConfiguration element.
func writeCORS(doc *document, rules []cors.Rule) {
	for i := range rules {
		rule := &rules[i]
		doc.open("CORSRule")
		doc.optional("ID", rule.ID)
		doc.texts("AllowedMethod", rule.AllowedMethods)
		doc.texts("AllowedOrigin", rule.AllowedOrigins)
		doc.texts("AllowedHeader", rule.AllowedHeaders)
		if rule.MaxAge != nil {
			doc.int("MaxAgeSeconds", *rule.MaxAge)
		}
		doc.texts("ExposeHeader", rule.ExposeHeaders)
		doc.close("CORSRule")
	}
}

// texts writes an element for each value.
func (d *document) texts(name string, values []string) {
	for _, v := range values {
		d.text(name, v)
	}
}
