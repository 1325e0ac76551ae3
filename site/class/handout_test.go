package class

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"
	"rsc.io/qr"

	"github.com/kindlab/kindlab/labs"
)

func TestHandout(t *testing.T) {
	out, err := Handout{Class: "autumn", Course: "From a container to a mesh", Hub: "http://192.0.2.1:8480", Code: "abcd-efgh", Links: []Link{
		{Person: labs.Person{ID: "ada", Name: "Ada"}, URL: "http://192.0.2.1:8480/in/AAA"},
		{Person: labs.Person{ID: "seat-01"}, URL: "http://192.0.2.1:8480/in/BBB"},
		{Person: labs.Person{ID: "grace", Name: "Grace"}, Instructor: true, URL: "http://192.0.2.1:8480/in/CCC"}}}.HTML()
	require.NoError(t, err)
	page := string(out)
	for _, want := range []string{"abcd-efgh", "http://192.0.2.1:8480/in", "<b>Ada</b>", "<b>seat-01</b>", `href="http://192.0.2.1:8480/in/BBB"`} {
		assert.Contains(t, page, want)
	}
	assert.Equal(t, 4, strings.Count(page, `class="qr"`), "the code and each person")
	attendees, instructors, _ := strings.Cut(page, "Instructors")
	assert.NotContains(t, attendees, "/in/CCC", "on a page of its own")
	assert.Contains(t, instructors, "/in/CCC")
	doc, err := html.Parse(strings.NewReader(page))
	require.NoError(t, err)
	for n := range doc.Descendants() {
		assert.NotContains(t, []string{"script", "link", "img", "iframe"}, n.Data, "nothing is loaded")
	}
}

// TestQRCode draws the picture back into modules and compares.
func TestQRCode(t *testing.T) {
	const text = "http://192.0.2.1:8480/in/AD7POWWMQ2M35V3IIHDUU76D4K"
	picture, err := qrCode(text)
	require.NoError(t, err)
	code, err := qr.Encode(text, qr.M)
	require.NoError(t, err)
	black := map[[2]int]bool{}
	for _, m := range regexp.MustCompile(`M(\d+) (\d+)h(\d+)v1H\d+z`).FindAllStringSubmatch(string(picture), -1) {
		var n [3]int
		for i := range n {
			n[i], _ = strconv.Atoi(m[i+1])
		}
		for x := range n[2] {
			black[[2]int{n[0] + x - 4, n[1] - 4}] = true
		}
	}
	for y := range code.Size {
		for x := range code.Size {
			assert.Equal(t, code.Black(x, y), black[[2]int{x, y}], "%d, %d", x, y)
		}
	}
	_, err = qrCode(strings.Repeat("x", 5000))
	assert.Error(t, err)
}
