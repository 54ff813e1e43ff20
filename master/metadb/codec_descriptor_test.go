package metadb

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"tdkvs/master/meta"
)

// fill sets every text, number, time and map below v, so that what a record has of them is
// as long as can be; but for extents, of which a descriptor has none.
func fill(v reflect.Value, text string) {
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(time.UnixMilli(-1)))
	case v.Type() == reflect.TypeFor[meta.Code]():
		v.Set(reflect.ValueOf(meta.Code{Data: math.MaxUint8, Parity: math.MaxUint8}))
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), text)
		}
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.CanInt():
		v.SetInt(math.MaxInt)
	case v.CanUint():
		v.SetUint(math.MaxUint)
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	case v.Kind() == reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{text: text, text + "2": ""}))
	}
}

// TestDescriptorAtMost: no field is forgotten in the estimate, whatever its length.
func TestDescriptorAtMost(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 200, 1000, 1900} {
		var x Descriptor
		fill(reflect.ValueOf(&x).Elem(), strings.Repeat("x", n))
		b, err := MarshalDescriptor(&x)
		if err != nil {
			t.Fatal(err)
		}
		if most := x.atMost(); most < len(b) || n == 1900 && most < 20*n {
			t.Errorf("texts of %d bytes: %d bytes at most, encoded %d", n, most, len(b))
		}
		if err := CheckDescriptor(&x); err != nil {
			t.Error(err)
		}
	}
	x := Descriptor{Key: "k"}
	x.Object.UserMeta = map[string]string{}
	for i := range 60 {
		x.Object.UserMeta[strings.Repeat("n", i+1)] = strings.Repeat("v", 1000)
	}
	_, want := MarshalDescriptor(&x)
	if err := CheckDescriptor(&x); meta.KindOf(want) != meta.KindMetadataTooLarge || meta.KindOf(err) != meta.KindMetadataTooLarge || err.Error() != want.Error() {
		t.Errorf("CheckDescriptor = %v, MarshalDescriptor: %v", err, want)
	}
}
