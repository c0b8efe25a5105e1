"""The pictures, as Vega-Lite (Satyanarayan et al. 2017, IEEE TVCG 23): what is drawn from what.

The page fills in the data `rows` and what depends on its width and colours. Colours are those of
Okabe and Ito (2008, "Color Universal Design") less the pale ones, always with a shape or a dash
beside them; matrices are in viridis, whose lightness rises evenly, so both can be read in grey.
"""

from __future__ import annotations

from functools import cache
from typing import Any

_SCORE = {"type": "quantitative", "axis": {"tickCount": 6}}
_ENCODER = {"field": "encoder", "type": "nominal", "sort": None, "legend": {"title": None}}
_TOLD = [
    {"field": "encoder", "type": "nominal"},
    {"field": "shown", "type": "nominal", "title": "score"},
]

DUMBBELL: dict[str, Any] = {
    "encoding": {"y": {"field": "task", "type": "nominal", "sort": None, "title": None}},
    "layer": [
        {
            "mark": {"type": "rule", "strokeWidth": 1.5, "opacity": 0.45},
            "encoding": {
                "x": {**_SCORE, "aggregate": "min", "field": "value", "title": None},
                "x2": {"aggregate": "max", "field": "value"},
            },
        },
        {
            "transform": [{"filter": "isValid(datum.low)"}],
            "mark": {"type": "rule", "strokeWidth": 7, "opacity": 0.22},
            "encoding": {
                "x": {**_SCORE, "field": "low"},
                "x2": {"field": "high"},
                "color": _ENCODER,
            },
        },
        {
            "mark": {"type": "point", "filled": True, "size": 75, "opacity": 1},
            "encoding": {
                "x": {**_SCORE, "field": "value"},
                "color": _ENCODER,
                "shape": _ENCODER,
                "tooltip": [{"field": "task", "type": "nominal"}, *_TOLD],
            },
        },
    ],
}

COST: dict[str, Any] = {
    "height": 340,
    "encoding": {
        "x": {
            "field": "cost",
            "type": "quantitative",
            "scale": {"type": "log", "nice": False, "padding": 50},
        },
        "y": {"field": "value", "type": "quantitative", "scale": {"zero": False, "padding": 25}},
    },
    "layer": [
        {
            "mark": {"type": "point", "filled": True, "size": 80, "opacity": 1},
            "encoding": {
                "shape": {"field": "device", "type": "nominal", "legend": {"title": None}},
                "tooltip": [
                    {"field": "encoder", "type": "nominal"},
                    {"field": "shown", "type": "nominal", "title": "score"},
                    {"field": "costShown", "type": "nominal", "title": "cost"},
                    {"field": "device", "type": "nominal"},
                ],
            },
        },
        {
            "transform": [{"filter": "datum.label"}],
            "mark": {"type": "text", "align": "left", "dx": 8, "dy": -6, "limit": 150},
            "encoding": {"text": {"field": "encoder", "type": "nominal"}},
        },
    ],
}

CONFUSION: dict[str, Any] = {
    "encoding": {
        "x": {
            "field": "predicted", "type": "nominal", "sort": None, "title": "predicted",
            "axis": {"labelAngle": -60, "labelLimit": 110, "labelOverlap": "greedy"},
        },
        "y": {
            "field": "true", "type": "nominal", "sort": None, "title": "true",
            "axis": {"labelLimit": 130, "labelOverlap": "greedy"},
        },
    },
    "layer": [
        {
            "transform": [{"filter": "isValid(datum.share)"}],
            "mark": {"type": "rect"},
            "encoding": {
                "color": {
                    "field": "share", "type": "quantitative",
                    "scale": {"scheme": "viridis", "domain": [0, 1]},
                    "legend": {"title": "share of the true class", "format": ".0%"},
                },
                "tooltip": [
                    {"field": "true", "type": "nominal"},
                    {"field": "predicted", "type": "nominal"},
                    {"field": "share", "type": "quantitative", "format": ".1%"},
                    {"field": "count", "type": "quantitative", "title": "items a seed"},
                ],
            },
        },
        {
            "transform": [{"filter": "datum.label"}],
            "mark": {"type": "text", "fontSize": 10},
            "encoding": {
                "text": {"field": "share", "type": "quantitative", "format": ".0%"},
                "color": {
                    "condition": {"test": "datum.share > 0.55", "value": "#000"}, "value": "#fff"
                },
            },
        },
    ],
}  # fmt: skip

CURVES: dict[str, Any] = {
    "height": 240,
    "mark": {"type": "line", "point": {"filled": True, "size": 36}, "strokeWidth": 2},
    "encoding": {
        "x": {
            "field": "epoch", "type": "quantitative", "title": "epoch",
            "axis": {"tickMinStep": 1, "format": "d", "grid": False},
        },
        "y": {"field": "value", "type": "quantitative", "scale": {"zero": False}},
        "color": _ENCODER,
        "strokeDash": _ENCODER,
        "shape": _ENCODER,
        "tooltip": [
            {"field": "encoder", "type": "nominal"},
            {"field": "epoch", "type": "quantitative"},
            {"field": "value", "type": "quantitative", "format": ".4~g"},
        ],
    },
}  # fmt: skip

_SHOWN = {"type": "quantitative", "scale": {"zero": False}}
SHOTS: dict[str, Any] = {
    "height": 280,
    "encoding": {
        "x": {
            "field": "clips", "type": "quantitative", "scale": {"type": "log", "nice": False},
            "title": "clips a class that were trained on",
            "axis": {"format": "~s", "grid": False, "labelOverlap": True},
        },
        "color": _ENCODER,
    },
    "layer": [
        {
            "transform": [{"filter": "isValid(datum.low)"}],
            "mark": {"type": "area", "opacity": 0.18},
            "encoding": {"y": {**_SHOWN, "field": "low"}, "y2": {"field": "high"}},
        },
        {
            "mark": {"type": "line", "strokeWidth": 2},
            "encoding": {"y": {**_SHOWN, "field": "value"}, "strokeDash": _ENCODER},
        },
        {
            "mark": {"type": "point", "filled": True, "size": 55, "opacity": 1},
            "encoding": {
                "y": {**_SHOWN, "field": "value"},
                "shape": _ENCODER,
                "tooltip": [
                    *_TOLD,
                    {"field": "asked", "type": "nominal", "title": "asked for"},
                    {"field": "clips", "type": "quantitative", "format": ".4~g"},
                ],
            },
        },
    ],
}  # fmt: skip

SERIES: dict[str, Any] = {
    "height": 280,
    "encoding": {
        "x": {
            "field": "place", "type": "quantitative", "scale": {"zero": False, "nice": False},
            "axis": {"tickMinStep": 1, "format": "d", "grid": False},
        },
        "color": _ENCODER,
    },
    "layer": [
        {
            "transform": [{"filter": "isValid(datum.low)"}],
            "mark": {"type": "area", "opacity": 0.18},
            "encoding": {"y": {**_SHOWN, "field": "low"}, "y2": {"field": "high"}},
        },
        {
            "mark": {"type": "line", "strokeWidth": 2},
            "encoding": {"y": {**_SHOWN, "field": "value"}, "strokeDash": _ENCODER},
        },
        {
            "mark": {"type": "point", "filled": True, "size": 55, "opacity": 1},
            "encoding": {
                "y": {**_SHOWN, "field": "value"},
                "shape": _ENCODER,
                "tooltip": [*_TOLD, {"field": "place", "type": "quantitative"}],
            },
        },
    ],
}  # fmt: skip

CHARTS = {
    "dumbbell": DUMBBELL, "cost": COST, "confusion": CONFUSION, "curves": CURVES, "shots": SHOTS,
    "series": SERIES,
}  # fmt: skip


@cache
def library() -> str:
    """Vega, Vega-Lite and Vega-Embed in one script that needs nothing beyond it."""
    import vl_convert

    # as a name of the page; a module keeps its own to itself
    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))
