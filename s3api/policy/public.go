package policy

import (
	"net/netip"
	"strings"
)

// Public reports whether a policy gives access to everyone: some statement
// allows everyone something, without a condition that fixes who that can be.
// Source: AWS "The meaning of public".
func (p *Policy) Public() bool {
	for i := range p.Statements {
		if p.Statements[i].public() {
			return true
		}
	}
	return false
}

func (s *Statement) public() bool {
	if !s.Allow || s.Principals != nil && !s.Principals.Everyone {
		return false
	}
	for i := range s.Conditions {
		if s.Conditions[i].fixes() {
			return false
		}
	}
	return true
}

// fixes reports whether a condition limits a statement to a fixed set of
// callers.
func (c *Condition) fixes() bool {
	if c.IfExists || c.Each == forAllValue {
		return false
	}
	switch c.Operator {
	case "StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike", "IpAddress":
	default:
		return false
	}
	for _, v := range c.Values {
		if !fixedValue(c.Key, v) {
			return false
		}
	}
	return true
}

// fixedValue reports whether one value of a key names fixed callers.
func fixedValue(key, value string) bool {
	switch key {
	case "aws:sourceip":
		network, err := netip.ParsePrefix(value)
		if err != nil {
			_, err = netip.ParseAddr(value)
			return err == nil
		}
		// A network as wide as a continent is no limit.
		return network.Addr().Is4() && network.Bits() >= 8 || network.Addr().Is6() && network.Bits() >= 32
	case "aws:principalorgid", "aws:principalarn", "aws:principalaccount", "aws:sourcearn", "aws:sourcevpc", "aws:sourcevpce",
		"aws:sourceowner", "aws:sourceaccount", "aws:userid", "s3:dataaccesspointarn", "s3:dataaccesspointaccount",
		"s3:x-amz-server-side-encryption-aws-kms-key-id":
		return !strings.ContainsAny(value, "*?") && !strings.Contains(value, "${")
	}
	return false
}
