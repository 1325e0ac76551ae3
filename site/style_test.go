package site

import (
	"fmt"
	"math"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestContrast holds the style sheet to WCAG's AA: text stands out 4.5 to 1 from
// what it is on, in both schemes.
func TestContrast(t *testing.T) {
	css, err := files.ReadFile("assets/site.css")
	require.NoError(t, err)
	colours := map[string][2]string{}
	for _, m := range regexp.MustCompile(`(--[a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)`).FindAllStringSubmatch(string(css), -1) {
		colours[m[1]] = [2]string{m[2], m[3]}
	}
	for _, m := range regexp.MustCompile(`(--[a-z-]+): (#[0-9a-f]{6})[;}]`).FindAllStringSubmatch(string(css), -1) {
		if _, ok := colours[m[1]]; !ok {
			colours[m[1]] = [2]string{m[2], m[2]}
		}
	}
	colours["white"] = [2]string{"#ffffff", "#ffffff"}
	for ground, inks := range map[string][]string{
		"--page":      {"--ink", "--quiet", "--link", "--good", "--bad", "--wait"},
		"--card":      {"--ink", "--quiet", "--link", "--good", "--bad", "--wait", "--t-key", "--t-var", "--t-word", "--t-text", "--t-num", "--t-note"},
		"--soft":      {"--ink", "--quiet", "--link", "--good", "--bad", "--wait", "--t-var"},
		"--good-soft": {"--ink", "--quiet", "--good"},
		"--term":      {"--term-ink", "--term-quiet"},
		"--go":        {"white"},
	} {
		for _, ink := range inks {
			for i, scheme := range []string{"light", "dark"} {
				require.NotEmpty(t, colours[ground][i], ground)
				require.NotEmpty(t, colours[ink][i], ink)
				assert.GreaterOrEqual(t, contrast(t, colours[ground][i], colours[ink][i]), 4.5, "%s on %s, %s", ink, ground, scheme)
			}
		}
	}
}

// contrast is WCAG's contrast ratio of two colours.
func contrast(t *testing.T, a, b string) float64 {
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func luminance(t *testing.T, colour string) float64 {
	var c [3]int
	_, err := fmt.Sscanf(colour, "#%02x%02x%02x", &c[0], &c[1], &c[2])
	require.NoError(t, err)
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		v := float64(c[i]) / 255
		if v <= 0.04045 {
			v /= 12.92
		} else {
			v = math.Pow((v+0.055)/1.055, 2.4)
		}
		sum += weight * v
	}
	return sum
}
