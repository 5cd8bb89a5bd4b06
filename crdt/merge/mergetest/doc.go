// Package mergetest tries an app's merge function (package merge) for what would make
// two peers read different values: that the order of the set matters, or how often it
// was called before, or a clock or chance. It stands beside merge and is for tests:
//
//	func TestDiscount(t *testing.T) {
//		err := mergetest.Check(discount, mergetest.Options{
//			Values: func(r *rand.Rand) any { return int64(r.IntN(100)) },
//		})
//		if err != nil {
//			t.Fatal(err)
//		}
//	}
//
// It finds mistakes and proves nothing: a function that asks a clock for the day
// passes, but at midnight.
package mergetest
