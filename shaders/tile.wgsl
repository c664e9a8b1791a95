//% macro place(lanes, wx, wz, texels)
//%   if lanes == "pixels"
    let tile = linear_index(id, groups, {{ wx }}u);
    let n = id.z * {{ texels }}u;
//%   else
    let tile = id.z + id.y * groups.z * {{ wz }}u;
    let n = id.x * {{ texels }}u;
//%   endif
//% endmacro

//% macro columns(texels)
//%   for q in range(texels)
    let n{{ q }} = min(n + {{ q }}u, width - 1u);
//%   endfor
//% endmacro

//% macro accumulators(pixels, texels)
//%   for q in range(texels)
    let b{{ q }} = load_bias(n{{ q }});
//%   endfor
//%   for p in range(pixels)
//%     for q in range(texels)
    var acc{{ p }}_{{ q }} = b{{ q }};
//%     endfor
//%   endfor
//% endmacro

//% macro multiply(pixels, texels, first=0, step=1)
//%   for p in range(pixels)
//%     set a = "a" ~ (first + p * step)
//%     for q in range(texels)
        acc{{ p }}_{{ q }} = fma(w{{ q }}.x, vec4<f32>({{ a }}.x), acc{{ p }}_{{ q }});
        acc{{ p }}_{{ q }} = fma(w{{ q }}.y, vec4<f32>({{ a }}.y), acc{{ p }}_{{ q }});
        acc{{ p }}_{{ q }} = fma(w{{ q }}.z, vec4<f32>({{ a }}.z), acc{{ p }}_{{ q }});
        acc{{ p }}_{{ q }} = fma(w{{ q }}.w, vec4<f32>({{ a }}.w), acc{{ p }}_{{ q }});
//%     endfor
//%   endfor
//% endmacro
